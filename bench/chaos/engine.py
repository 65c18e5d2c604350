"""An engine whose output shows whether serving did its work: each input frame, enlarged, on the real schedule.

Its state is what the real one's is: the frames that it was given and has not returned. The first byte of a chunk says
whether it is to break, and how; films have 0 there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from flashvsr_engine.errors import OutOfMemoryError
from flashvsr_handler.model import LoadedModel
from flashvsr_handler.protocols import Output, Pictures
from flashvsr_handler.settings import Settings

from bench.waiting import CHUNK, FIRST_CHUNK, LOOK_AHEAD, STATE_BYTES, WORK_BYTES, WaitingPlan

EXCEPTION: Final = 201
DEVICE_ERROR: Final = 202
OUT_OF_MEMORY: Final = 203


@dataclass
class EchoSession:
    """A stream that gives its frames back, larger; ``held`` are those that have not come out."""

    plan: WaitingPlan
    scale: int
    fps: float
    held: list[Pictures] = field(default_factory=list)
    frames_in: int = 0
    frames_out: int = 0

    def push(self, frames: Pictures) -> Pictures:
        """Take frames; give those that are ready."""
        if len(frames):
            _break(int(frames[0, 0, 0, 0]))
        self.held.extend(frames)
        self.frames_in += len(frames)
        chunks = (self.frames_in - FIRST_CHUNK) // CHUNK
        return self._give(0 if chunks < 0 else FIRST_CHUNK - LOOK_AHEAD + CHUNK * chunks - self.frames_out)

    def finish(self) -> Pictures:
        """Give the rest."""
        return self._give(len(self.held))

    def snapshot(self) -> EchoSnapshot:
        """Copy the state."""
        return EchoSnapshot(self.plan, self.scale, self.fps, tuple(self.held), self.frames_in, self.frames_out)

    def close(self) -> None:
        """Free the state."""
        self.held.clear()

    def _give(self, count: int) -> Pictures:
        time.sleep(count / self.fps)
        ready, self.held = self.held[:count], self.held[count:]
        self.frames_out += count
        return enlarged(ready, self.scale, self.plan)


@dataclass(frozen=True)
class EchoSnapshot:
    """A parked stream."""

    plan: WaitingPlan
    scale: int
    fps: float
    held: tuple[Pictures, ...]
    frames_in: int
    frames_out: int
    nbytes: int = STATE_BYTES


@dataclass
class EchoEngine:
    """See :class:`flashvsr_handler.protocols.Engine`."""

    fps: float
    name: str = "echo 1"

    def plan(self, width: int, height: int, scale: int | None = None) -> WaitingPlan:
        """Sizes; every stream takes the same bytes."""
        return WaitingPlan(width * (scale or 4), height * (scale or 4))

    def open(
        self,
        width: int,
        height: int,
        scale: int | None = None,
        seed: int | None = None,
        *,
        output: Output = "uint8",
        first_frame: int = 0,
    ) -> EchoSession:
        """Open a stream."""
        return EchoSession(self.plan(width, height, scale), scale or 4, self.fps)

    def resume(self, snapshot: EchoSnapshot) -> EchoSession:
        """Go on with a parked stream."""
        kept = snapshot
        return EchoSession(kept.plan, kept.scale, kept.fps, list(kept.held), kept.frames_in, kept.frames_out)


def enlarged(frames: Sequence[Pictures], scale: int, plan: WaitingPlan) -> Pictures:
    """Give frames [h, w, 3] as [T, s*h, s*w, 3], each pixel repeated."""
    if not frames:
        return np.zeros((0, plan.out_height, plan.out_width, 3), np.uint8)
    return np.stack(frames).repeat(scale, axis=1).repeat(scale, axis=2)


def load(settings: Settings, gpu: int | None) -> LoadedModel:
    """For FLASHVSR_ENGINE_FACTORY; ECHO_FPS is the speed of all sessions together."""
    budget = settings.state_bytes_budget or STATE_BYTES * settings.max_sessions + WORK_BYTES
    return LoadedModel(EchoEngine(float(os.environ.get("ECHO_FPS", "120"))), "cpu", budget, park_bytes=1 << 30)


def _break(mark: int) -> None:
    if mark == EXCEPTION:
        raise ZeroDivisionError("asked for by a fault")
    if mark == DEVICE_ERROR:
        raise RuntimeError("CUDA error: an illegal memory access was encountered (asked for by a fault)")
    if mark == OUT_OF_MEMORY:
        raise OutOfMemoryError("CUDA out of memory (asked for by a fault)")
