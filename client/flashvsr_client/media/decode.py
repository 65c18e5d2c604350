"""The frames of a video file, upright, as RGB, each with its time."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from flashvsr_client.chunks import Frame
from flashvsr_client.errors import InputError
from flashvsr_client.media.color import Converter
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.media.source import opened, video_stream


@dataclass(frozen=True, slots=True)
class Moment:
    """When a frame is shown and for how long, in ticks of the source's time base."""

    pts: int
    duration: int


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """A picture, uint8 RGB [h, w, 3], and its time."""

    picture: Frame
    moment: Moment


def decode(info: VideoInfo) -> Generator[TimedFrame, None, None]:
    """Give every frame of the file in the order of its times.

    Times are the file's own, to the tick; where it has none, or goes back, a frame follows the one before. Raises
    :class:`InputError` for a file that is damaged or cut short, and for one that changes its size on the way.
    """
    converter = Converter(info.colors)
    with opened(info.path) as container:
        stream = video_stream(container, info.path)
        frames = _frames(container, stream, info)
        yield from _with_durations(_timed(frame, converter, info) for frame in frames)


def _frames(container: InputContainer, stream: VideoStream, info: VideoInfo) -> Iterator[av.VideoFrame]:
    packets = frames = 0
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise _damaged(info, frames, "a broken packet")
        packets += bool(packet.size)
        try:
            decoded = packet.decode()
        except av.error.FFmpegError as error:
            raise _damaged(info, frames, error.strerror or type(error).__name__) from error
        frames += len(decoded)
        yield from decoded
    # an index that is read from the header lists every packet; one that grows while reading lists no more than came
    if packets < (listed := len(stream.index_entries)):
        raise _damaged(info, frames, f"its index lists {listed} frames")


def _damaged(info: VideoInfo, frames: int, reason: str) -> InputError:
    return InputError(
        f"{info.path} is damaged or cut short after {frames} frames ({reason}): repair it or fetch it again"
    )


def _timed(frame: av.VideoFrame, converter: Converter, info: VideoInfo) -> tuple[Frame, int | None, int]:
    picture = np.rot90(converter.to_rgb(frame), info.quarter_turns)
    height, width = picture.shape[:2]
    if (width, height) != (info.width, info.height):
        raise InputError(
            f"{info.path} changes its size from {info.width}x{info.height} to {width}x{height}: "
            "cut it there and upscale the parts"
        )
    return picture, None if frame.pts is None else frame.pts - info.origin, frame.duration


def _with_durations(frames: Iterable[tuple[Frame, int | None, int]]) -> Iterator[TimedFrame]:
    """Give each frame the time until the next one; the last keeps its own, or that of the one before."""
    held: TimedFrame | None = None
    for picture, pts, duration in frames:
        if held is not None:
            earliest = held.moment.pts + 1
            pts = held.moment.pts + held.moment.duration if pts is None else max(pts, earliest)
            held = replace(held, moment=Moment(held.moment.pts, pts - held.moment.pts))
            yield held
            duration = duration or held.moment.duration
        held = TimedFrame(picture, Moment(pts or 0, max(duration, 1)))
    if held is not None:
        yield held
