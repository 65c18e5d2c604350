"""Both directions of one stream at once: requests go out in a thread while answers come in."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from flashvsr_client.chunks import Frame, Frames
from flashvsr_client.errors import StreamClosedError
from flashvsr_client.transport.base import Stream


def exchange(stream: Stream, chunks: Iterable[Frames]) -> Generator[Frame, None, None]:
    """Send ``chunks`` and give the upscaled frames [s*h, s*w, 3], in order.

    ``chunks`` is iterated in a thread of its own. The first error of either direction ends both and is raised here;
    the stream is closed when this iterator ends, however it ends.
    """

    def send() -> None:
        for chunk in chunks:
            stream.submit(chunk)
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
