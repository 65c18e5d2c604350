"""What an input is, without reading all of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from flashvsr_client.config import Reading
from flashvsr_client.errors import InputError
from flashvsr_client.media.color import Colors, colors_of
from flashvsr_client.media.folder import picture, pictures_in
from flashvsr_client.media.hdr import Light, check_treatment, light_of
from flashvsr_client.media.interlace import is_interlaced
from flashvsr_client.media.orientation import Orientation, orientation_of
from flashvsr_client.media.source import opened, video_stream
from flashvsr_client.media.stdin import STANDARD, Pipe
from flashvsr_client.media.trim import frames_within, window_of

DEFAULT_RATE: Final = Fraction(25)


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Of the video stream that is upscaled. Sizes are in pixels and as shown: after the file's rotation."""

    path: Path
    width: int
    height: int
    orientation: Orientation
    """How the stored pictures have to be turned to be upright."""
    pixel_aspect: Fraction
    """Width of a pixel over its height."""
    rate: Fraction
    """Frames per second on average."""
    time_base: Fraction
    """Seconds per tick of the frames' times."""
    origin: int
    """Tick of the file's clock that is time 0 here: where it starts (MPEG-TS), or where it is cut."""
    frames: int | None
    """An estimate for the progress display; None when the file does not say."""
    colors: Colors
    audio_codecs: tuple[str, ...]
    depth: int = 8
    """Bits of a colour, 8, or 16 for a source of more than 8."""
    light: Light | None = None
    """Static HDR metadata."""
    reading: Reading = field(default_factory=Reading)
    window: tuple[int | None, int | None] = (None, None)
    """Ticks of the first frame's earliest time, and of the first time that is too late."""
    pictures: tuple[Path, ...] = ()
    """The frames' files, of a folder."""
    pipe: Pipe | None = None
    """Of standard input, which can be read once."""


def probe(path: Path, reading: Reading | None = None) -> VideoInfo:
    """Read the header and the first frame of a file, a folder of pictures or, for ``-``, standard input.

    Raises :class:`InputError` for an input that is missing, unreadable, without video or without frames, interlaced,
    or HDR of which nothing was said.
    """
    reading = reading or Reading()
    if path.is_dir():
        return _of_folder(path, reading)
    pipe = Pipe() if path == STANDARD else None
    with opened(path, reading, pipe) as container:
        stream = video_stream(container, path)
        with _decoding(container, stream) as frames:
            frame = next(frames, None)
            if frame is None:
                raise InputError(f"{path} has a video stream without frames: check that it plays")
            _check_progressive(stream, frame, frames, path)
        info = _of_stream(path, container, stream, frame, reading, pipe)
    if pipe is not None:
        pipe.rewind()
    return info


def _of_stream(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    frame: av.VideoFrame,
    reading: Reading,
    pipe: Pipe | None,
) -> VideoInfo:
    rate = stream.average_rate or stream.guessed_rate or DEFAULT_RATE
    time_base = stream.time_base or 1 / rate
    start = _origin(container, time_base)
    window = window_of(reading, Fraction(container.start_time or 0, av.time_base), time_base)
    orientation, colors = orientation_of(frame), colors_of(frame)
    check_treatment(colors.transfer, reading.hdr, path)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width, height = (frame.height, frame.width) if orientation.transposed else (frame.width, frame.height)
    return VideoInfo(
        path=path,
        width=width,
        height=height,
        orientation=orientation,
        pixel_aspect=1 / aspect if orientation.transposed else aspect,
        rate=rate,
        time_base=time_base,
        origin=start if window[0] is None else window[0],
        frames=frames_within(_estimate(container, stream, rate), rate, reading),
        colors=colors,
        audio_codecs=tuple(audio.codec_context.name for audio in container.streams.audio if audio.codec_context),
        depth=_depth(frame),
        light=light_of(frame) if colors.is_hdr else None,
        reading=reading,
        window=window,
        pipe=pipe,
    )


def _of_folder(path: Path, reading: Reading) -> VideoInfo:
    pictures = pictures_in(path)
    frame = picture(pictures[0])
    orientation, colors = orientation_of(frame), colors_of(frame)
    check_treatment(colors.transfer, reading.hdr, path)
    rate = reading.fps or DEFAULT_RATE
    window = window_of(reading, Fraction(0), 1 / rate)
    width, height = (frame.height, frame.width) if orientation.transposed else (frame.width, frame.height)
    first, end = window[0] or 0, len(pictures) if window[1] is None else min(window[1], len(pictures))
    return VideoInfo(
        path=path,
        width=width,
        height=height,
        orientation=orientation,
        pixel_aspect=Fraction(1),
        rate=rate,
        time_base=1 / rate,
        origin=first,
        frames=max(0, end - first),
        colors=colors,
        audio_codecs=(),
        depth=_depth(frame),
        light=light_of(frame) if colors.is_hdr else None,
        reading=reading,
        window=window,
        pictures=pictures,
    )


@contextmanager
def _decoding(container: InputContainer, stream: VideoStream) -> Iterator[Iterator[av.VideoFrame]]:
    frames = container.decode(stream)
    try:
        yield frames
    finally:
        frames.close()  # type: ignore[attr-defined]  # it is a generator


def _check_progressive(stream: VideoStream, first: av.VideoFrame, further: Iterator[av.VideoFrame], path: Path) -> None:
    if is_interlaced(stream, first, further):
        raise InputError(
            f"{path} is interlaced: make whole frames of it first, such as by "
            "`ffmpeg -i IN -vf bwdif -c:v ffv1 -c:a copy OUT.mkv` (film in 60i: -vf fieldmatch,decimate)"
        )


def _depth(frame: av.VideoFrame) -> int:
    return 16 if any(component.bits > 8 for component in frame.format.components) else 8


def _origin(container: InputContainer, time_base: Fraction) -> int:
    if Flags.ts_discont not in Flags(container.format.flags):
        return 0
    return round(Fraction(container.start_time or 0, av.time_base) / time_base)


def _estimate(container: InputContainer, stream: VideoStream, rate: Fraction) -> int | None:
    if stream.frames:
        return stream.frames
    if container.duration:
        return max(1, round(container.duration * rate / av.time_base))
    return None
