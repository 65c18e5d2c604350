"""What a video file is, without reading all of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from flashvsr_client.errors import InputError
from flashvsr_client.media.color import Colors, colors_of
from flashvsr_client.media.source import opened, video_stream

_DEFAULT_RATE: Final = Fraction(25)


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Of the video stream that is upscaled. Sizes are in pixels and as shown: after the file's rotation."""

    path: Path
    width: int
    height: int
    quarter_turns: int
    """Of 90 degrees, counterclockwise, that the stored pictures need to be upright."""
    pixel_aspect: Fraction
    """Width of a pixel over its height."""
    rate: Fraction
    """Frames per second on average."""
    time_base: Fraction
    """Seconds per tick of the frames' times."""
    origin: int
    """Ticks at which the file's clock starts; 0 except in formats whose clocks start anywhere (MPEG-TS)."""
    frames: int | None
    """An estimate for the progress display; None when the file does not say."""
    colors: Colors
    audio_codecs: tuple[str, ...]


def probe(path: Path) -> VideoInfo:
    """Read the header and the first frame of a file.

    Raises :class:`InputError` for a file that is missing, unreadable, without video or without frames.
    """
    with opened(path) as container:
        stream = video_stream(container, path)
        frame = next(container.decode(stream), None)
        if frame is None:
            raise InputError(f"{path} has a video stream without frames: check that it plays")
        turns = round(frame.rotation / 90) % 4
        width, height = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
        aspect = stream.sample_aspect_ratio or Fraction(1)
        rate = stream.average_rate or stream.guessed_rate or _DEFAULT_RATE
        time_base = stream.time_base or 1 / rate
        return VideoInfo(
            path=path,
            width=width,
            height=height,
            quarter_turns=turns,
            pixel_aspect=1 / aspect if turns % 2 else aspect,
            rate=rate,
            time_base=time_base,
            origin=_origin(container, time_base),
            frames=_estimate(container, stream, rate),
            colors=colors_of(frame),
            audio_codecs=tuple(audio.codec_context.name for audio in container.streams.audio),
        )


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
