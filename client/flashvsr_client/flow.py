"""Timed frames through one stream of an engine, everything at once and all bounded.

    thread 1: decode and stack      -- at most Limits.chunks ahead -->
    thread 2: send                  -- held back by the engine's acknowledgements -->
    thread 3: receive               -- at most Limits.frames ahead -->
    caller's thread: whatever takes the frames

An error in any of them ends all of them and is raised in the caller's thread; so does Ctrl-C.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from flashvsr_client.chunks import Frame, chunked, sizes
from flashvsr_client.config import Limits
from flashvsr_client.errors import ServerError
from flashvsr_client.exchange import Exchange
from flashvsr_client.media.decode import Moment, TimedFrame
from flashvsr_client.prefetch import Prefetch
from flashvsr_client.transport.base import StreamSpec


@contextmanager
def flowing(
    stream: Exchange, spec: StreamSpec, frames: Iterable[TimedFrame], limits: Limits
) -> Iterator[Iterator[TimedFrame]]:
    """Give the upscaled frames with the times of ``frames``, in order; the stream is closed with the block."""
    moments: deque[Moment] = deque()
    counts = sizes(stream.info.first_chunk, stream.info.chunk, stream.info.max_chunk_frames)
    decoding = chunked(_noted(frames, moments), spec.width, spec.height, counts, spec.depth)
    with (
        Prefetch(decoding, limits.chunks, "flashvsr-decode") as chunks,
        Prefetch(stream.exchange(chunks), limits.frames, "flashvsr-receive") as upscaled,
    ):
        try:
            yield _timed(upscaled, moments)
        finally:  # wake every thread before the first of them is waited for
            chunks.stop()
            upscaled.stop()
            stream.close()


def _noted(frames: Iterable[TimedFrame], moments: deque[Moment]) -> Iterator[Frame]:
    for frame in frames:
        moments.append(frame.moment)
        yield frame.picture


def _timed(pictures: Iterable[Frame], moments: deque[Moment]) -> Iterator[TimedFrame]:
    """Pair frames and times: a frame's time is noted before the frame can come out."""
    given = 0
    for picture in pictures:
        if not moments:
            raise ServerError(f"the engine gave more than the {given} frames that it was sent: versions differ?")
        yield TimedFrame(picture, moments.popleft())
        given += 1
    if moments:
        raise ServerError(f"the engine gave {given} of {given + len(moments)} frames: see its log")
