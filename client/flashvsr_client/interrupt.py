"""How a job is asked to end: once, in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Final, Protocol

_WATCH_SECONDS: Final = 0.2


class Interrupt:
    """A request to end, which a signal handler may make: asking takes no lock beyond the event's."""

    def __init__(self) -> None:
        self.asked = Event()
        self._heeding = 0
        self._counting = Lock()

    @property
    def heeded(self) -> bool:
        """Whether something runs that will end by itself once it is asked: a job that can be resumed."""
        return self._heeding > 0

    @contextmanager
    def heeding(self) -> Iterator[Event]:
        """Say that the block looks at the event, and ends soon after it is set; from several threads at once."""
        self._count(1)
        try:
            yield self.asked
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._counting:
            self._heeding += change


class Closable(Protocol):
    """What can be closed from any thread, such as a stream."""

    def close(self) -> None:
        """End it."""


@contextmanager
def closing_on(stop: Event, stream: Closable) -> Iterator[None]:
    """Close the stream soon after ``stop`` is set, so that nobody waits for an engine that answers no more."""
    ended = Event()

    def watch() -> None:
        while not ended.wait(_WATCH_SECONDS):
            if stop.is_set():
                stream.close()
                return

    watcher = Thread(target=watch, name="flashvsr-stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
