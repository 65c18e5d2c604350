"""A public mock transport: programs built on this package can be tested without a server, an engine or a GPU."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event, Lock
from typing import Final

import numpy as np

from flashvsr_client.chunks import Frames
from flashvsr_client.errors import ClientError, ServerBusyError
from flashvsr_client.transport.base import Health, StreamInfo, StreamSpec
from flashvsr_client.transport.inprocess import InProcessStream

FIRST_CHUNK: Final = 25
FIRST_OUTPUT: Final = 21
CHUNK: Final = 8


@dataclass(slots=True)
class Fault:
    """Something that goes wrong in a session, once ``after`` of its frames are in; ``times`` sessions are struck."""

    error: ClientError
    after: int = 0
    times: int = 1


class MockTransport:
    """A :class:`Transport` that repeats every pixel ``scale`` times, on the schedule of the real engine.

    ``error``, when given, is raised in place of the output of every session once ``error_after`` frames are in;
    ``faults`` strike some sessions only. The first ``busy`` requests for a stream are refused. ``delay``: seconds that
    each chunk takes. ``engines``: how many answer a ping. ``opened`` and ``closed`` count streams, so that a test can
    see that none is left, and ``places`` tells at which frame of its film each began.
    """

    def __init__(
        self,
        *,
        error: ClientError | None = None,
        error_after: int = 0,
        faults: Iterable[Fault] = (),
        busy: int = 0,
        delay: float = 0.0,
        engines: int = 1,
        model: str = "mock",
    ) -> None:
        self.opened = 0
        self.closed = 0
        self.places: list[int] = []
        self.delay = delay
        self._faults = [Fault(error, error_after, sys.maxsize)] if error is not None else []
        self._faults += [replace(fault) for fault in faults]
        self._busy = busy
        self._engines = engines
        self._model = model
        self._turn = Lock()
        self._counting = Lock()

    def open(self, spec: StreamSpec) -> InProcessStream:
        """See :class:`Transport`."""
        with self._counting:
            if self._busy:
                self._busy -= 1
                raise ServerBusyError("the mock has no room: try again in a while")
            self.opened += 1
            self.places.append(spec.first_frame)
        info = StreamInfo(
            width=spec.width * spec.scale,
            height=spec.height * spec.scale,
            first_chunk=FIRST_CHUNK,
            chunk=CHUNK,
            max_chunk_frames=FIRST_CHUNK,
            model=self._model,
        )
        return InProcessStream(
            _MockSession(self, spec), info, self._turn if self._engines == 1 else Lock(), _untranslated
        )

    def ping(self) -> Sequence[Health]:
        """See :class:`Transport`."""
        active = self.opened - self.closed
        names = ["mock"] if self._engines == 1 else [f"mock{i}" for i in range(self._engines)]
        return [Health(name, self._model, "cpu", sessions=active, max_sessions=0) for name in names]

    def close(self) -> None:
        """See :class:`Transport`."""

    def check(self, frames_in: int) -> None:
        """Raise the error that was asked for, once so many frames of a session are in."""
        with self._counting:
            for fault in self._faults:
                if fault.times and frames_in >= fault.after:
                    fault.times -= 1
                    raise fault.error

    def count_closed(self) -> None:
        """One more session is closed."""
        with self._counting:
            self.closed += 1


class _MockSession:
    def __init__(self, owner: MockTransport, spec: StreamSpec) -> None:
        self._owner = owner
        self._scale = spec.scale
        self._waiting: Frames = np.empty((0, spec.height, spec.width, 3), f"uint{spec.depth}")
        self._frames_in = 0
        self._frames_out = 0

    def push(self, frames: Frames) -> Frames:
        self._frames_in += len(frames)
        Event().wait(self._owner.delay)
        self._owner.check(self._frames_in)
        self._waiting = np.concatenate([self._waiting, frames])
        chunks = (self._frames_in - FIRST_CHUNK) // CHUNK
        ready = 0 if chunks < 0 else FIRST_OUTPUT + CHUNK * chunks
        return self._take(ready - self._frames_out)

    def finish(self) -> Frames:
        self._owner.check(self._frames_in)
        return self._take(len(self._waiting))

    def close(self) -> None:
        self._owner.count_closed()

    def _take(self, count: int) -> Frames:
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._frames_out += count
        return taken.repeat(self._scale, axis=1).repeat(self._scale, axis=2)


@contextmanager
def _untranslated() -> Iterator[None]:
    yield
