"""A public mock transport: programs built on this package can be tested without a server, an engine or a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Final

import numpy as np

from flashvsr_client.chunks import Frames
from flashvsr_client.errors import ClientError
from flashvsr_client.transport.base import Health, StreamInfo, StreamSpec
from flashvsr_client.transport.inprocess import InProcessStream

FIRST_CHUNK: Final = 25
FIRST_OUTPUT: Final = 21
CHUNK: Final = 8


class MockTransport:
    """A :class:`Transport` that repeats every pixel ``scale`` times, on the schedule of the real engine.

    ``error``, when given, is raised in place of the output once ``error_after`` frames are in. ``opened`` and
    ``closed`` count streams, so that a test can see that none is left.
    """

    def __init__(self, *, error: ClientError | None = None, error_after: int = 0) -> None:
        self.opened = 0
        self.closed = 0
        self._error = error
        self._error_after = error_after
        self._turn = Lock()

    def open(self, spec: StreamSpec) -> InProcessStream:
        """See :class:`Transport`."""
        self.opened += 1
        info = StreamInfo(
            width=spec.width * spec.scale,
            height=spec.height * spec.scale,
            first_chunk=FIRST_CHUNK,
            chunk=CHUNK,
            max_chunk_frames=FIRST_CHUNK,
            model="mock",
        )
        return InProcessStream(_MockSession(self, spec), info, self._turn, _untranslated)

    def ping(self) -> Sequence[Health]:
        """See :class:`Transport`."""
        return [Health("mock", "mock", "cpu", sessions=self.opened - self.closed, max_sessions=0)]

    def close(self) -> None:
        """See :class:`Transport`."""

    def check(self, frames_in: int) -> None:
        """Raise the error that was asked for, once so many frames are in."""
        if self._error is not None and frames_in >= self._error_after:
            raise self._error


class _MockSession:
    def __init__(self, owner: MockTransport, spec: StreamSpec) -> None:
        self._owner = owner
        self._scale = spec.scale
        self._waiting: Frames = np.empty((0, spec.height, spec.width, 3), f"uint{spec.depth}")
        self._frames_in = 0
        self._frames_out = 0

    def push(self, frames: Frames) -> Frames:
        self._frames_in += len(frames)
        self._owner.check(self._frames_in)
        self._waiting = np.concatenate([self._waiting, frames])
        chunks = (self._frames_in - FIRST_CHUNK) // CHUNK
        ready = 0 if chunks < 0 else FIRST_OUTPUT + CHUNK * chunks
        return self._take(ready - self._frames_out)

    def finish(self) -> Frames:
        self._owner.check(self._frames_in)
        return self._take(len(self._waiting))

    def close(self) -> None:
        self._owner.closed += 1

    def _take(self, count: int) -> Frames:
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._frames_out += count
        return taken.repeat(self._scale, axis=1).repeat(self._scale, axis=2)


@contextmanager
def _untranslated() -> Iterator[None]:
    yield
