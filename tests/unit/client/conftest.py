"""Clips made on the spot: no media is fetched or kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.audio.stream import AudioStream

MakeClip = Callable[..., Path]


def picture(index: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """A smooth picture that differs from frame to frame, so that lossy codecs keep frames apart."""
    rows, columns = np.mgrid[:height, :width]
    level = 32 + 8 * (index % 24)
    return np.stack([np.full_like(rows, level), rows * 2 % 256, columns * 2 % 256], axis=-1).astype(np.uint8)


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    def make(
        name: str = "in.mp4",
        frames: int = 5,
        width: int = 32,
        height: int = 24,
        *,
        pts: Sequence[int] | None = None,
        time_base: Fraction = Fraction(1, 25),
        audio: str | None = None,
        options: dict[str, str] | None = None,
        rotation: int = 0,
        pixel_format: str = "yuv420p",
    ) -> Path:
        path = tmp_path / name
        times = list(range(frames)) if pts is None else list(pts)
        with av.open(str(path), "w", options=options or {}) as output:
            video = output.add_stream("libx264", rate=25, options={"crf": "4"}, width=width, height=height)
            video.pix_fmt = pixel_format
            video.codec_context.time_base = time_base
            if rotation:
                video.set_display_rotation(rotation)
            if audio is not None:
                _add_tone(output, audio, len(times) / 25)
            for index, time in enumerate(times):
                frame = av.VideoFrame.from_ndarray(picture(index, width, height)).reformat(format=pixel_format)
                frame.pts, frame.time_base = time, time_base
                output.mux(video.encode(frame))
            output.mux(video.encode(None))
        return path

    return make


def _add_tone(output: av.container.OutputContainer, codec: str, seconds: float) -> None:
    stream = output.add_stream(codec, rate=48000)
    assert isinstance(stream, AudioStream)
    samples = max(2048, int(48000 * seconds))
    tone = (8000 * np.sin(np.arange(samples) * 0.05)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.stack([tone, tone], axis=1).reshape(1, -1), format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    fifo = av.AudioFifo()
    fifo.write(av.AudioResampler(stream.codec_context.format, "stereo", 48000).resample(frame)[0])
    for part in fifo.read_many(1024):
        output.mux(stream.encode(part))
    if (rest := fifo.read()) is not None:
        output.mux(stream.encode(rest))
    output.mux(stream.encode(None))
