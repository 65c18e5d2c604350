"""An engine that only waits: it takes the time of a fast one, and no processor, so that what is left is serving.

``flashvsr-serve`` takes it by FLASHVSR_ENGINE_FACTORY=bench.waiting:load; WAITING_FPS says how fast it is (default
60), in output frames per second of all sessions together. It follows the real schedule, 25 frames in for the first 21
out and 8 for 8 from then on, and gives noise with the session's seed in each frame's first pixel.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

import numpy as np
from flashvsr_handler.model import LoadedModel
from flashvsr_handler.protocols import Output, Pictures
from flashvsr_handler.settings import Settings

FIRST_CHUNK, CHUNK, LOOK_AHEAD = 25, 8, 4
STATE_BYTES, WORK_BYTES = 100 << 20, 200 << 20


@dataclass(frozen=True)
class WaitingPlan:
    """See :class:`flashvsr_handler.protocols.Plan`."""

    out_width: int
    out_height: int
    first_chunk: int = FIRST_CHUNK
    chunk: int = CHUNK
    look_ahead: int = LOOK_AHEAD
    state_bytes: int = STATE_BYTES
    peak_bytes: int = STATE_BYTES + WORK_BYTES
    graph_bytes: int = 0


@dataclass
class WaitingSession:
    """A stream that waits; its frames are cut from one piece of noise."""

    plan: WaitingPlan
    fps: float
    seed: int
    frames_in: int = 0
    frames_out: int = 0
    noise: Pictures = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.noise = rng.integers(0, 256, (FIRST_CHUNK, self.plan.out_height, self.plan.out_width, 3), np.uint8)
        self.noise[:, 0, 0] = self.seed % 256

    def push(self, frames: Pictures) -> Pictures:
        """Take frames; wait as long as those that are ready take."""
        self.frames_in += len(frames)
        chunks = (self.frames_in - FIRST_CHUNK) // CHUNK
        return self._give(0 if chunks < 0 else FIRST_CHUNK - LOOK_AHEAD + CHUNK * chunks - self.frames_out)

    def finish(self) -> Pictures:
        """Give the rest."""
        return self._give(self.frames_in - self.frames_out)

    def snapshot(self) -> WaitingSnapshot:
        """Copy the state."""
        return WaitingSnapshot(self)

    def close(self) -> None:
        """Free the state."""
        self.noise = self.noise[:0]

    def _give(self, count: int) -> Pictures:
        time.sleep(count / self.fps)
        self.frames_out += count
        parts = [self.noise[: min(FIRST_CHUNK, count - start)] for start in range(0, count, FIRST_CHUNK)]
        return parts[0] if len(parts) == 1 else np.concatenate([self.noise[:0], *parts])


@dataclass
class WaitingSnapshot:
    """A parked stream."""

    session: WaitingSession
    nbytes: int = STATE_BYTES


@dataclass
class WaitingEngine:
    """See :class:`flashvsr_handler.protocols.Engine`."""

    fps: float
    name: str = "waiting 1.1"

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
    ) -> WaitingSession:
        """Open a stream; its frames are of 8 bits, whatever is asked for."""
        return WaitingSession(self.plan(width, height, scale), self.fps, seed or 0)

    def resume(self, snapshot: WaitingSnapshot) -> WaitingSession:
        """Go on with a parked stream."""
        kept = snapshot.session
        return WaitingSession(kept.plan, kept.fps, kept.seed, kept.frames_in, kept.frames_out)


def load(settings: Settings, gpu: int | None) -> LoadedModel:
    """Give the engine to the server, with room for as many sessions as it may have."""
    budget = settings.state_bytes_budget or STATE_BYTES * settings.max_sessions + WORK_BYTES
    return LoadedModel(WaitingEngine(float(os.environ.get("WAITING_FPS", "60"))), "cpu", budget, park_bytes=1 << 30)
