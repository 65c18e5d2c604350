"""Both directions of one stream at once: requests go out in a thread while answers come in."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from flashvsr_client.chunks import Frame, Frames
from flashvsr_client.errors import StreamClosedError
from flashvsr_client.transport.base import Stream, StreamInfo


class Exchange(Protocol):
    """What frames go through; ``close`` may come from any thread."""

    @property
    def info(self) -> StreamInfo:
        """What the engine said at open."""

    def exchange(self, chunks: Iterable[Frames]) -> Generator[Frame, None, None]:
        """Send ``chunks`` and give the upscaled frames, in order."""

    def close(self) -> None:
        """End it; what is in flight is dropped. Does nothing the second time."""


def exchange(stream: Stream, chunks: Iterable[Frames], *, flush: bool = True) -> Generator[Frame, None, None]:
    """Send ``chunks`` and give the upscaled frames [s*h, s*w, 3], in order.

    Without ``flush`` the engine keeps what it holds after the last chunk; the caller leaves once it has enough.

    ``chunks`` is iterated in a thread of its own. The first error of either direction ends both and is raised here;
    the stream is closed when this iterator ends, however it ends.
    """

    def send() -> None:
        for chunk in chunks:
            stream.submit(chunk)
        if flush:
            stream.flush()

    def stop_receiving(sender: Future[None]) -> None:
        if sender.exception() is not None:
            stream.close()

    with ThreadPoolExecutor(1, "flashvsr-send") as pool:
        sender = pool.submit(send)
        sender.add_done_callback(stop_receiving)
        try:
            for frames in stream.receive():
                yield from frames
        except StreamClosedError:
            if sender.done():
                sender.result()  # the sender failed first: its error is the reason
            raise
        finally:
            stream.close()


class PlainStream:
    """Frames through one session of an engine; its loss is the end."""

    def __init__(self, stream: Stream, *, flush: bool = True) -> None:
        self._stream = stream
        self._flush = flush

    @property
    def info(self) -> StreamInfo:
        """What the engine said at open."""
        return self._stream.info

    def exchange(self, chunks: Iterable[Frames]) -> Generator[Frame, None, None]:
        """See :func:`exchange`."""
        return exchange(self._stream, chunks, flush=self._flush)

    def close(self) -> None:
        """See :class:`Stream`."""
        self._stream.close()
