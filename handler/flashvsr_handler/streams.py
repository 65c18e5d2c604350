"""The streams of the direct plane that run, and the end of those on which nothing happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final

from flashvsr_proto.v1 import stream_pb2 as pb

GOES_ON: Final = ("accepted", "frames")
"""Messages after which others of the same answer come."""


class Stream:
    """One stream: silent from when all that was asked is answered, and taken by its client, until it asks again."""

    def __init__(self, name: str, cancel: Callable[[], object], clock: Callable[[], float]) -> None:
        self.name = name
        self._cancel = cancel
        self._clock = clock
        self._asked = self._answered = 0  # each counted in a thread of its own
        self._since = clock()

    def asked(self) -> None:
        """Note a request."""
        self._asked += 1

    def taken(self, response: pb.StreamResponse) -> None:
        """Note a message that the transport has taken."""
        self._answered += response.WhichOneof("body") not in GOES_ON
        self._since = self._clock()

    def end_after(self, seconds: float) -> None:
        """End it if it has been silent for longer."""
        if self._asked == self._answered and self._clock() - self._since > seconds:
            self._cancel()


class Streams:
    """All of them; each takes threads and one of a limited number of places."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._running: set[Stream] = set()

    @contextmanager
    def running(self, cancel: Callable[[], object]) -> Iterator[Stream]:
        """A stream while it runs; ``cancel`` ends it from another thread."""
        stream = Stream(f"direct-{next(self._numbers)}", cancel, self._clock)
        with self._lock:
            self._running.add(stream)
        try:
            yield stream
        finally:
            with self._lock:
                self._running.discard(stream)

    def end_silent(self, seconds: float) -> None:
        """End those that have been silent for longer."""
        with self._lock:
            streams = list(self._running)
        for stream in streams:
            stream.end_after(seconds)
