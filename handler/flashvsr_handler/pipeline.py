"""Two threads on one answer: the engine works on the next piece while the one before is encoded and sent."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


def overlapped(items: Iterator[Item], ahead: int) -> Generator[Item, None, None]:
    """Give ``items``, which are made in a thread of their own, at most ``ahead`` of them before they are asked for.

    An exception in that thread is raised here, in its place. When this generator is closed early, the other one is
    closed in its thread, at the next item, and is waited for.
    """
    queue: _Queue[Item] = _Queue(ahead)
    thread = threading.Thread(target=queue.fill, args=(items,), name="engine", daemon=True)
    thread.start()
    try:
        yield from queue.items()
    finally:
        queue.leave()
        thread.join()


class _Queue(Generic[Item]):
    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._ended = False
        self._left = False
        self._error: BaseException | None = None

    def fill(self, items: Iterator[Item]) -> None:
        try:
            for item in items:
                if not self._put(item):
                    break
        except BaseException as error:  # noqa: BLE001 - handed to the other thread
            self._error = error
        finally:
            if isinstance(items, Generator):
                items.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def items(self) -> Iterator[Item]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended)
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def leave(self) -> None:
        with self._changed:
            self._left = True
            self._changed.notify_all()

    def _put(self, item: Item) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._left or len(self._items) < self._capacity)
            if self._left:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True
