"""A file through a transport: decode -> send -> receive -> encode, all at once and all bounded.

    thread 1: decode and stack      -- at most Limits.chunks ahead -->
    thread 2: send                  -- held back by the server's acknowledgements -->
    thread 3: receive               -- at most Limits.frames ahead -->
    caller's thread: encode, with the frames' times

An error in any of them ends all of them and is raised in the caller's thread; so does Ctrl-C.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flashvsr_client.chunks import Frame, chunked, sizes
from flashvsr_client.config import Encoding, Limits, Reading
from flashvsr_client.errors import ServerError
from flashvsr_client.exchange import exchange
from flashvsr_client.media.decode import Moment, TimedFrame, decode
from flashvsr_client.media.encode import writing
from flashvsr_client.media.output import check_output, has_other_streams
from flashvsr_client.media.probe import VideoInfo, probe
from flashvsr_client.media.provenance import provenance
from flashvsr_client.media.timing import Stages
from flashvsr_client.prefetch import Prefetch
from flashvsr_client.progress import Progress
from flashvsr_client.report import Report
from flashvsr_client.transport.base import Stream, StreamSpec, Transport


def upscale_file(
    transport: Transport,
    source: Path,
    target: Path,
    *,
    scale: int,
    seed: int | None,
    encoding: Encoding,
    limits: Limits,
    progress: Progress,
    reading: Reading | None = None,
) -> Report:
    """Upscale ``source`` into ``target``. Raises any :class:`ClientError`; ``target`` is then as it was."""
    began, stages = time.monotonic(), Stages()
    info = probe(source, reading)
    check_output(target, source, overwrite=encoding.overwrite)
    width, height = info.width * scale, info.height * scale
    StreamSpec(info.width, info.height, scale)  # what no engine takes is refused before anything is opened
    with ExitStack() as stack:
        writer = stack.enter_context(writing(target, info, width, height, encoding))
        depth = max(info.depth, writer.depth)
        spec = StreamSpec(info.width, info.height, scale, float(info.rate), seed, depth)
        opened = time.monotonic()
        stream = transport.open(spec)
        stack.callback(stream.close)
        if encoding.provenance:
            writer.describe(provenance(stream.info.model, scale, seed))
        progress.start(info.frames)
        frames, first = 0, opened
        moments: deque[Moment] = deque()
        for picture in stages.waiting(stack.enter_context(_upscaled(stream, info, depth, moments, limits, stages))):
            if not moments:
                raise ServerError(f"the engine gave more than the {frames} frames that it was sent: versions differ?")
            if frames == 0:
                first = time.monotonic()
            with stages.encoding():
                writer.write(picture, moments.popleft())
            progress.advance()
            frames += 1
        if moments:
            raise ServerError(f"the engine gave {frames} of {frames + len(moments)} frames: see its log")
    return Report(
        output=target,
        frames=frames,
        width=width,
        height=height,
        seconds=time.monotonic() - began,
        first_frame_seconds=first - opened,
        model=stream.info.model,
        pixel_format=writer.pixel_format,
        audio_streams=len(info.audio_codecs) if encoding.audio and has_other_streams(target) else 0,
        stages=stages,
    )


@contextmanager
def _upscaled(
    stream: Stream, info: VideoInfo, depth: int, moments: deque[Moment], limits: Limits, stages: Stages
) -> Iterator[Iterable[Frame]]:
    """Run everything before the encoder. A frame's moment is in ``moments`` before the frame comes out."""
    pictures = _noted(stages.decoding(decode(info, depth=depth)), moments)
    counts = sizes(stream.info.first_chunk, stream.info.chunk, stream.info.max_chunk_frames)
    decoding = chunked(pictures, info.width, info.height, counts, depth)
    with (
        Prefetch(decoding, limits.chunks, "flashvsr-decode") as chunks,
        Prefetch(exchange(stream, chunks), limits.frames, "flashvsr-receive") as upscaled,
    ):
        try:
            yield upscaled
        finally:  # wake every thread before the first of them is waited for
            chunks.stop()
            upscaled.stop()
            stream.close()


def _noted(frames: Iterable[TimedFrame], moments: deque[Moment]) -> Iterator[Frame]:
    for frame in frames:
        moments.append(frame.moment)
        yield frame.picture
