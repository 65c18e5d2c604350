"""The demo's clip: a camera that glides over a public-domain photograph, at full size (the truth) and shrunk."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from PIL import Image
from skimage import data, transform

from flashvsr_client.chunks import Frame
from flashvsr_client.media.color import BT709, Colors, Converter, rgb_frame

SCALE: Final = 4
WIDTH: Final = 640
HEIGHT: Final = 384
FRAMES: Final = 64
_FPS: Final = 24
_SAMPLE_RATE: Final = 48000
_COLORS: Final = Colors(BT709, full_range=False, primaries=BT709, transfer=BT709)


def truth() -> Iterator[Frame]:
    """Give the clip as it should look: FRAMES pictures of WIDTH x HEIGHT, panned and zoomed by parts of a pixel."""
    photo = data.astronaut().astype(np.float32) / 255  # type: ignore[no-untyped-call]
    for index in range(FRAMES):
        part = index / (FRAMES - 1)
        step = (480 - 30 * part) / WIDTH  # pixels of the photograph for each of ours
        left, top = 8 + 28 * np.sin(np.pi * part) ** 2, 10 + 90 * part
        glide = transform.AffineTransform(scale=step, translation=(left, top))  # type: ignore[no-untyped-call]
        view = transform.warp(photo, glide, output_shape=(HEIGHT, WIDTH), order=3)  # type: ignore[no-untyped-call]
        yield np.round(view.clip(0, 1) * 255).astype(np.uint8)


def shrink(frame: Frame) -> Frame:
    """Give the picture at 1/SCALE of its size, by bicubic reduction."""
    height, width = frame.shape[0] // SCALE, frame.shape[1] // SCALE
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))


def write(path: Path) -> None:
    """Write the shrunk clip as nearly lossless H.264, with a tone."""
    converter = Converter(_COLORS)
    with av.open(str(path), "w") as output:
        video = output.add_stream(
            "libx264", rate=_FPS, options={"crf": "6"}, width=WIDTH // SCALE, height=HEIGHT // SCALE
        )
        audio = output.add_stream("aac", rate=_SAMPLE_RATE)
        assert isinstance(video, VideoStream)
        assert isinstance(audio, AudioStream)
        context = video.codec_context
        context.colorspace, context.color_range = _COLORS.matrix, _COLORS.range
        context.color_primaries, context.color_trc = _COLORS.primaries, _COLORS.transfer
        for frame in truth():
            output.mux(video.encode(converter.from_rgb(shrink(frame), "yuv420p")))
        output.mux(video.encode(None))
        for block in _tone():
            output.mux(audio.encode(block))
        output.mux(audio.encode(None))


def write_truth(path: Path) -> None:
    """Write the clip at full size, without loss."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264rgb", rate=_FPS, options={"qp": "0"}, width=WIDTH, height=HEIGHT)
        assert isinstance(video, VideoStream)
        video.pix_fmt = "rgb24"
        for frame in truth():
            output.mux(video.encode(rgb_frame(frame)))
        output.mux(video.encode(None))


def _tone() -> Iterator[av.AudioFrame]:
    samples = _SAMPLE_RATE * FRAMES // _FPS
    tone = (0.2 * np.sin(2 * np.pi * 440 / _SAMPLE_RATE * np.arange(samples))).astype(np.float32)
    for start in range(0, samples, 1024):
        part = tone[start : start + 1024]
        block = av.AudioFrame.from_ndarray(np.stack([part, part]), format="fltp", layout="stereo")
        block.sample_rate, block.pts, block.time_base = _SAMPLE_RATE, start, Fraction(1, _SAMPLE_RATE)
        yield block
