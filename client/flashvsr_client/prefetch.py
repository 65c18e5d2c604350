"""A stage of a pipeline: a generator that runs ahead in a thread of its own, by a bounded number of items."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from types import TracebackType
from typing import Generic, Self, TypeVar

from flashvsr_client.channel import Channel

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Iterate ``source`` in a thread, at most ``capacity`` items ahead of the one consumer.

    An error of the source is raised where its items are consumed. Leaving the ``with`` block stops the thread at its
    next item and waits for that.
    """

    def __init__(self, source: Generator[T, None, None], capacity: int, name: str) -> None:
        self._source = source
        self._channel: Channel[T] = Channel(capacity)
        self._pool = ThreadPoolExecutor(1, name)
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        self._running = self._pool.submit(self._run)
        # close, not abort: the items before the error, or the end, are good
        self._running.add_done_callback(lambda _: self._channel.close())
        return self

    def __iter__(self) -> Iterator[T]:
        assert self._running is not None, "enter the block first"
        yield from self._channel
        self._running.result()

    def stop(self) -> None:
        """Let the thread end at its next item; what is ready is dropped. Does not wait."""
        self._channel.abort()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._pool.shutdown(wait=True)

    def _run(self) -> None:
        with closing(self._source):
            for item in self._source:
                self._channel.put(item)
