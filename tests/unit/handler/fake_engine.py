"""An engine that enlarges by repetition, with the real schedule's look-ahead, and breaks when it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from flashvsr_engine.errors import ConfigError, OutOfMemoryError
from flashvsr_handler.protocols import Output, Pictures

FIRST_CHUNK, CHUNK, LOOK_AHEAD = 25, 8, 4


@dataclass(frozen=True)
class FakePlan:
    out_width: int
    out_height: int
    first_chunk: int = FIRST_CHUNK
    chunk: int = CHUNK
    look_ahead: int = LOOK_AHEAD
    state_bytes: int = 1000
    peak_bytes: int = 1500
    graph_bytes: int = 0


@dataclass
class FakeSession:
    scale: int
    seed: int | None
    size: tuple[int, int]
    fault: Exception | None = None
    waiting: list[Pictures] = field(default_factory=list)
    frames_in: int = 0
    frames_out: int = 0
    closed: bool = False
    output: Output = "uint8"

    def push(self, frames: Pictures) -> Pictures:
        assert not self.closed
        if self.fault is not None:
            raise self.fault
        self.waiting += list(frames)
        self.frames_in += len(frames)
        chunks = (self.frames_in - FIRST_CHUNK) // CHUNK
        ready = 0 if self.frames_in < FIRST_CHUNK else FIRST_CHUNK - LOOK_AHEAD + CHUNK * chunks
        return self._give(ready - self.frames_out)

    def finish(self) -> Pictures:
        assert not self.closed
        if self.fault is not None:
            raise self.fault
        return self._give(self.frames_in - self.frames_out)

    def snapshot(self) -> FakeSnapshot:
        assert not self.closed
        return FakeSnapshot(replace(self, waiting=list(self.waiting)))

    def close(self) -> None:
        self.closed = True

    def _give(self, count: int) -> Pictures:
        given, self.waiting = self.waiting[:count], self.waiting[count:]
        self.frames_out += count
        width, height = self.size
        frames = np.array(given, self.output).reshape(count, height, width, 3)
        return frames.repeat(self.scale, 1).repeat(self.scale, 2)


@dataclass
class FakeSnapshot:
    session: FakeSession
    nbytes: int = 1000


@dataclass
class FakeEngine:
    name: str = "fake 1.1"
    sessions: list[FakeSession] = field(default_factory=list)
    full: bool = False
    first_frames: list[int] = field(default_factory=list)

    def plan(self, width: int, height: int, scale: int | None = None) -> FakePlan:
        scale = 4 if scale is None else scale
        if min(width, height) < 16 or scale not in (2, 3, 4):
            raise ConfigError(f"{width}x{height} at scale {scale} is not allowed.")
        return FakePlan(width * scale, height * scale)

    def open(
        self,
        width: int,
        height: int,
        scale: int | None = None,
        seed: int | None = None,
        *,
        output: Output = "uint8",
        first_frame: int = 0,
    ) -> FakeSession:
        if self.full:
            raise OutOfMemoryError("the device is full")
        self.first_frames.append(first_frame)
        session = FakeSession(4 if scale is None else scale, seed, (width, height), output=output)
        self.sessions.append(session)
        return session

    def resume(self, snapshot: FakeSnapshot) -> FakeSession:
        self.sessions.append(replace(snapshot.session, waiting=list(snapshot.session.waiting)))
        return self.sessions[-1]
