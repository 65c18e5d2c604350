"""One segment through one engine, into files: its body encoded, its overlaps as they are.

What comes out depends on the film, the segment and the options alone, never on which engine made it or how often it
was tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Final

from flashvsr_client.config import Encoding, Limits
from flashvsr_client.edges import EdgeWriter, writing_edge
from flashvsr_client.errors import InputError, ServerError, StreamClosedError
from flashvsr_client.exchange import PlainStream
from flashvsr_client.flow import flowing
from flashvsr_client.frames import span
from flashvsr_client.interrupt import closing_on
from flashvsr_client.media.decode import Moment, TimedFrame
from flashvsr_client.media.film import Film
from flashvsr_client.media.index import FrameIndex
from flashvsr_client.media.parts import SUFFIX, Part, PartWriter, finished, writing_part
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.segments import CHUNK, FIRST_CHUNK, Segment
from flashvsr_client.transport.base import Stream, StreamInfo, StreamSpec

BODY: Final = f"body{SUFFIX}"
HEAD: Final = "head.npy"
TAIL: Final = "tail.npy"
Open = Callable[[StreamSpec], Stream]


class Stopped(Exception):  # noqa: N818 - no error: what was asked for
    """The segment was given up on request; what it had made is of no use."""


@dataclass(frozen=True, slots=True)
class Work:
    """What all segments of a job have in common."""

    info: VideoInfo
    scale: int
    seed: int | None
    encoding: Encoding
    limits: Limits
    model: str
    """That every engine must have."""
    made: Film
    """Of what the output's video is."""
    depth: int = 8
    """Bits of a colour through the engine: 8 or 16."""
    index: FrameIndex | None = None
    """Of a film that is cut, where it has one."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the output."""
        return self.info.width * self.scale, self.info.height * self.scale

    def spec(self, first_frame: int) -> StreamSpec:
        """Say what stream a session that begins at that frame of the film needs."""
        info = self.info
        return StreamSpec(
            width=info.width,
            height=info.height,
            scale=self.scale,
            fps=float(info.rate),
            seed=self.seed,
            first_frame=first_frame,
            depth=self.depth,
        )


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """A finished segment. The times are of its overlaps' frames."""

    index: int
    body: Part
    head: tuple[Moment, ...]
    tail: tuple[Moment, ...]
    model: str
    seconds: float = field(compare=False)
    first_frame_seconds: float = field(compare=False)


def run_segment(
    open_stream: Open, work: Work, segment: Segment, folder: Path, stop: Event, advance: Callable[[int], None]
) -> SegmentResult:
    """Upscale ``segment`` into ``folder``, which exists; ``advance`` is told how many kept frames are done so far.

    Raises any :class:`ClientError`, and :class:`Stopped` at the end of a chunk once ``stop`` is set.
    """
    began = time.monotonic()
    stream = open_stream(work.spec(segment.start))
    first = 0.0
    try:
        _check(stream.info, work)
        with (
            closing_on(stop, stream),
            _sink(work, segment, folder) as sink,
            _upscaled(stream, work, segment) as upscaled,
        ):
            for number, frame in zip(range(segment.start, segment.stop), upscaled, strict=False):
                first = first or time.monotonic() - began
                if number >= segment.first:
                    sink.write(number, frame)
                    advance(number - segment.first + 1)
                if stop.is_set():
                    raise Stopped
    except StreamClosedError as error:
        raise (Stopped() if stop.is_set() else error) from error
    finally:
        stream.close()
    body = finished(folder / BODY, sink.body)
    if (body.frames, len(sink.head), len(sink.tail)) != (len(segment.body), len(segment.head), len(segment.tail)):
        raise InputError(f"{work.info.path} ended in segment {segment.index}: it was changed while the job ran")
    seconds = time.monotonic() - began
    return SegmentResult(segment.index, body, tuple(sink.head), tuple(sink.tail), stream.info.model, seconds, first)


def _check(info: StreamInfo, work: Work) -> None:
    """Raise :class:`ServerError` for an engine whose frames would not fit the others'."""
    if info.model != work.model:
        raise ServerError(f"the engine has model {info.model!r}, the job {work.model!r}: leave that endpoint out")
    if (info.first_chunk, info.chunk) != (FIRST_CHUNK, CHUNK):
        raise ServerError(
            f"the engine takes {info.first_chunk} frames and then {info.chunk} at a time, segments are laid for "
            f"{FIRST_CHUNK} and {CHUNK}: versions differ; give --segment-frames 0"
        )


class _Sink:
    """Where the kept frames of a segment go, by their number."""

    def __init__(self, segment: Segment, body: PartWriter, head: EdgeWriter | None, tail: EdgeWriter | None) -> None:
        self._segment = segment
        self.body = body
        self._edges = {"head": head, "tail": tail}
        self.head: list[Moment] = []
        self.tail: list[Moment] = []

    def write(self, number: int, frame: TimedFrame) -> None:
        if number in self._segment.body:
            self.body.write(frame.picture, frame.moment)
            return
        in_head = number in self._segment.head
        (self.head if in_head else self.tail).append(frame.moment)
        edge = self._edges["head" if in_head else "tail"]
        assert edge is not None, "a segment with an overlap has a file for it"
        edge.write(frame.picture)


@contextmanager
def _sink(work: Work, segment: Segment, folder: Path) -> Iterator[_Sink]:
    with ExitStack() as stack:
        head, tail = (
            stack.enter_context(writing_edge(folder / name, len(frames))) if frames else None
            for name, frames in ((HEAD, segment.head), (TAIL, segment.tail))
        )
        body = stack.enter_context(writing_part(folder / BODY, work.info, work.made))
        yield _Sink(segment, body, head, tail)


def _upscaled(stream: Stream, work: Work, segment: Segment) -> AbstractContextManager[Iterator[TimedFrame]]:
    frames = span(work.info, segment.start, segment.feed_stop, work.index, work.depth)
    through = PlainStream(stream, flush=segment.at_the_end)
    return flowing(through, work.spec(segment.start), frames, work.limits)
