"""Clips with what real files have: depth, colours, other streams, interlacing, HDR. Made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from flashvsr_client.chunks import Frame
from flashvsr_client.media.color import Colors, Converter

TICK = Fraction(1, 25)


def encoded(
    path: Path,
    pictures: list[Frame],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    colors: Colors | None = None,
    around: Callable[[av.container.OutputContainer], None] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Encode ``pictures`` at 25 frames per second; ``around`` may add to the container before its header."""
    height, width = pictures[0].shape[:2]
    colors = colors or Colors(1, False, 1, 1)
    converter = Converter(colors)
    with av.open(str(path), "w") as output:
        video = output.add_stream(codec, rate=25, options=options or {"crf": "0"}, width=width, height=height)
        assert isinstance(video, av.VideoStream)
        video.pix_fmt = pixel_format
        context = video.codec_context
        context.time_base = TICK
        context.colorspace, context.color_range = colors.matrix, colors.range
        context.color_primaries, context.color_trc = colors.primaries, colors.transfer
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        if around is not None:
            around(output)
        for index, picture in enumerate(pictures):
            frame = converter.from_rgb(picture, pixel_format)
            frame.pts, frame.time_base = index, TICK
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


def numbered(count: int, width: int = 64, height: int = 48) -> list[Frame]:
    """Pictures that say their number by their grey: 5 steps of it a frame, around and around."""
    return [np.full((height, width, 3), 16 + 5 * (index % 44), np.uint8) for index in range(count)]


def number_of(picture: Frame) -> int:
    """Read what `numbered` wrote, up to 44."""
    level = float(picture.mean()) / (257 if picture.dtype == np.uint16 else 1)
    return round((level - 16) / 5)


def ramp(width: int = 256, height: int = 32) -> Frame:
    """A grey ramp of 16 bits."""
    values = np.linspace(0, 65535, width).round().astype(np.uint16)
    return np.broadcast_to(values[None, :, None], (height, width, 3)).copy()


def moving(fields: bool, count: int = 30) -> list[Frame]:
    """A pattern that moves sideways; with ``fields`` the even and the odd lines are of different moments."""
    columns = np.mgrid[:96, :128][1]

    def at(time: float) -> Frame:
        grey = (np.sin((columns + 3 * time) * 0.3) + 1) * 110 + 16
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)

    frames = []
    for index in range(count):
        picture = at(index)
        if fields:
            picture[1::2] = at(index + 0.5)[1::2]
        frames.append(picture)
    return frames
