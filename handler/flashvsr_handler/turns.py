"""The engine's one call at a time, first come first served."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turns:
    """Hands the engine from thread to thread in the order in which they asked; a plain lock would starve some."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._taken_at: float | None = None
        self._busy_s = 0.0
        self._waits: dict[object, float] = {}

    @contextmanager
    def take(self) -> Iterator[float]:
        """Wait for the engine and keep it until the block ends; gives the seconds waited. Must not be nested."""
        ticket, asked = object(), self._clock()
        with self._changed:
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._taken_at is None and self._waiting[0] is ticket)
            self._waiting.popleft()
            self._taken_at = self._clock()
            waited = self._taken_at - asked
        try:
            yield waited
        finally:
            with self._changed:
                self._busy_s += self._held()
                self._taken_at = None
                self._changed.notify_all()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Say that the block waits for what a call before has left to the device, without a turn."""
        ticket = object()
        with self._changed:
            self._waits[ticket] = self._clock()
        try:
            yield
        finally:
            with self._changed:
                del self._waits[ticket]

    def held_for(self) -> float:
        """Seconds that the call which runs now, or the longest wait for the device, has taken; 0 when there is none."""
        with self._changed:
            return max([self._held(), *(self._clock() - since for since in self._waits.values())])

    def busy_for(self) -> float:
        """Seconds that all calls have taken so far, the one that runs now included."""
        with self._changed:
            return self._busy_s + self._held()

    def _held(self) -> float:
        return 0.0 if self._taken_at is None else self._clock() - self._taken_at
