"""Which engines of a fleet are free: each segment of any film takes one that is free then, earlier films first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from threading import Condition, Event
from typing import Final, Generic, TypeVar

from flashvsr_client.segment_run import Stopped

_LOOK_AGAIN: Final = 0.2
T = TypeVar("T")


class Pool(Generic[T]):
    """Safe to use from several threads."""

    def __init__(self, engines: Sequence[T]) -> None:
        self._changed = Condition()
        self._free = list(engines)
        self._all = list(engines)
        self._waiting: list[tuple[int, int]] = []
        self._tickets = count()

    @property
    def engines(self) -> Sequence[T]:
        """All of them, whether free or at work."""
        return tuple(self._all)

    def leave_out(self, engine: T) -> None:
        """Give it no more work."""
        with self._changed:
            self._all.remove(engine)
            self._free = [one for one in self._free if one is not engine]

    @contextmanager
    def lease(self, liked: T | None, film: int, stop: Event) -> Iterator[T]:
        """Wait for a free engine and hold it, ``liked`` where that is free. Raises :class:`Stopped`.

        ``film`` is the number of the film that needs it: of those that wait, the lowest goes first.
        """
        engine = self._take(liked, film, stop)
        try:
            yield engine
        finally:
            with self._changed:
                if engine in self._all:
                    self._free.append(engine)
                    self._changed.notify_all()

    def _take(self, liked: T | None, film: int, stop: Event) -> T:
        with self._changed:
            turn = film, next(self._tickets)
            self._waiting.append(turn)
            try:
                while not self._free or turn != min(self._waiting):
                    if stop.is_set():
                        raise Stopped
                    self._changed.wait(_LOOK_AGAIN)
                chosen = liked if liked is not None and liked in self._free else self._free[0]
                self._free.remove(chosen)
                return chosen
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
