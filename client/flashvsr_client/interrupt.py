"""How a job is asked to end: once, in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event


class Interrupt:
    """A request to end, which a signal handler may make. Takes no lock of its own beyond the event's."""

    def __init__(self) -> None:
        self.asked = Event()
        self._heeded = False

    @property
    def heeded(self) -> bool:
        """Whether something runs that will end by itself once it is asked: a job that can be resumed."""
        return self._heeded

    @contextmanager
    def heeding(self) -> Iterator[Event]:
        """Say that the block looks at the event, and ends soon after it is set."""
        self._heeded = True
        try:
            yield self.asked
        finally:
            self._heeded = False
