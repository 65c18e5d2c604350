"""Whose turn it is: first come, first served, so many at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Event
from typing import Final

_LOOK_AGAIN: Final = 0.2  # seconds until an event is seen that wakes nobody


class Line:
    """A queue before ``at_once`` places. Safe to use from several threads."""

    def __init__(self, at_once: int) -> None:
        assert at_once >= 1
        self._free = at_once
        self._waiting: deque[object] = deque()
        self._changed = Condition()

    def join(self) -> object:
        """Take the last place and give a ticket, which is to be used with :meth:`turn`."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
        return ticket

    def place(self, ticket: object) -> int:
        """Say the ticket's place in the queue, from 1; 0: it is not waiting any more."""
        with self._changed:
            return self._waiting.index(ticket) + 1 if ticket in self._waiting else 0

    @contextmanager
    def turn(self, ticket: object, stop: Event) -> Iterator[bool]:
        """Wait for the ticket's turn, which lasts as long as the block; False: ``stop`` was set before it came."""
        came = self._wait(ticket, stop)
        try:
            yield came
        finally:
            if came:
                with self._changed:
                    self._free += 1
                    self._changed.notify_all()

    def _wait(self, ticket: object, stop: Event) -> bool:
        with self._changed:
            while not stop.is_set():
                if self._free and self._waiting[0] is ticket:
                    self._waiting.popleft()
                    self._free -= 1
                    self._changed.notify_all()
                    return True
                self._changed.wait(_LOOK_AGAIN)
            self._waiting.remove(ticket)
            self._changed.notify_all()
            return False
