"""A bounded queue between two threads that either side can end at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition
from typing import Generic, TypeVar

from flashvsr_client.errors import StreamClosedError

T = TypeVar("T")


class Channel(Generic[T]):
    """Holds at most ``capacity`` items. Safe for any number of threads on either side.

    ``close`` is the orderly end: the items that are in it still come out. ``abort`` drops them and wakes everybody.
    """

    def __init__(self, capacity: int) -> None:
        assert capacity > 0
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._changed = Condition()
        self._closed = False
        self._aborted = False

    def put(self, item: T) -> None:
        """Wait for room, then add ``item``. Raises :class:`StreamClosedError` once the channel is closed or aborted."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                raise StreamClosedError("the stream was closed: open another one")
            self._items.append(item)
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no more items follow. Does nothing the second time."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """End both sides at once: what is in the channel is dropped. Does nothing the second time."""
        with self._changed:
            self._closed = self._aborted = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Give the items in order until the channel is closed. Raises :class:`StreamClosedError` when it is aborted."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or bool(self._items))
                if self._aborted:
                    raise StreamClosedError("the stream was closed before its end")
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
