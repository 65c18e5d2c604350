"""The frames of an input, upright, as RGB, each with its number and its time."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

import av

from flashvsr_client.chunks import Frame
from flashvsr_client.errors import InputError
from flashvsr_client.media import folder
from flashvsr_client.media.index import FrameIndex
from flashvsr_client.media.pictures import RgbReader
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.media.raw import raw_frames


@dataclass(frozen=True, slots=True)
class Moment:
    """When a frame is shown and for how long, in ticks of the source's time base."""

    pts: int
    duration: int


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """A picture, RGB [h, w, 3], uint8 or uint16 as the source's depth wants, its time, and its number from 0."""

    picture: Frame
    moment: Moment
    number: int = 0


@dataclass(frozen=True, slots=True)
class _Clocked:
    """A frame that is not converted yet, and its time on the file's own clock."""

    frame: av.VideoFrame
    pts: int
    duration: int


def decode(
    info: VideoInfo, first: int = 0, count: int | None = None, index: FrameIndex | None = None, depth: int | None = None
) -> Generator[TimedFrame, None, None]:
    """Give the frames of the input in the order of their times: all, or ``count`` from number ``first`` on.

    Numbers and times count from the first frame that `info.reading` takes. With an ``index`` of the file decoding
    begins at a key frame near ``first``, else at the file's beginning; the frames are the same. ``depth``, 8 or 16, is
    the source's unless given.

    Times are the file's own, to the tick; where it has none, or goes back, a frame follows the one before. Raises
    :class:`InputError` for a file that is damaged or cut short, and for one that changes its size on the way.
    """
    known = info.frames if info.pictures else None if index is None else len(index)
    if known and first >= known:
        return
    reader = RgbReader(info, depth or info.depth)
    stop = None if count is None else first + count
    clocked = _windowed(_clocked(_source(info, first, index)), info)
    if index is not None or info.pictures:
        numbered: Iterator[tuple[int, _Clocked]] = enumerate(clocked, first)
    else:
        numbered = islice(enumerate(clocked), first, None)
    for number, one in numbered:
        if stop is not None and number >= stop:
            return
        yield TimedFrame(reader(one.frame), Moment(one.pts - info.origin, one.duration), number)


def _source(info: VideoInfo, first: int, index: FrameIndex | None) -> Iterator[av.VideoFrame]:
    """Give decoded frames, from number ``first`` on where that can be had, else from the beginning."""
    if info.pictures:
        return folder.decoded(info.pictures, info.origin + first)
    if index is None:
        return raw_frames(info)
    return _from_index(info, first, index)


def _from_index(info: VideoInfo, first: int, index: FrameIndex) -> Iterator[av.VideoFrame]:
    """Begin at a key frame and drop what is before ``first``; if that frame does not come out, begin at the start."""
    if not len(index):
        return
    target, entry = int(index.times[first]), index.entry(first)
    if entry is not None and first > 0:
        frames = raw_frames(info, entry)
        for frame in frames:
            if frame.pts == target:
                yield from chain([frame], frames)
                return
            if frame.pts is None or frame.pts > target:
                break
    for frame in (frames := raw_frames(info)):
        if frame.pts == target:
            yield from chain([frame], frames)
            return
    raise InputError(f"{info.path} changed while it was read, or is damaged: frame {first} is not there any more")


def _clocked(frames: Iterable[av.VideoFrame]) -> Iterator[_Clocked]:
    """Give each frame a time, and the time until the next one; the last keeps its own, or that of the one before."""
    held: _Clocked | None = None
    for frame in frames:
        duration = frame.duration
        if held is not None:
            pts = held.pts + held.duration if frame.pts is None else max(frame.pts, held.pts + 1)
            yield _Clocked(held.frame, held.pts, pts - held.pts)
            duration = duration or pts - held.pts
        else:
            pts = frame.pts or 0
        held = _Clocked(frame, pts, max(duration, 1))
    if held is not None:
        yield held


def _windowed(frames: Iterable[_Clocked], info: VideoInfo) -> Iterator[_Clocked]:
    first, end = info.window
    found = False
    for one in frames:
        if end is not None and one.pts >= end:
            break
        if first is None or one.pts >= first:
            found = True
            yield one
    if not found and info.window != (None, None):
        raise InputError(
            f"{info.path} has no frame in the part that -ss and -t name: it ends before, or name more of it"
        )
