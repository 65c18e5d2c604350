"""Pictures and numbers: the output beside the input, bicubic interpolation and, where it is known, the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from math import log10
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from flashvsr_client.chunks import Frame
from flashvsr_client.media.decode import decode
from flashvsr_client.media.probe import probe

_TILE: Final = (640, 384)
_LABEL: Final = 28
_LUMA: Final = np.array([65.481, 128.553, 24.966]) / 255  # BT.601, as papers of this field measure Y-PSNR


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean over the frames of the PSNR of luma against the truth, in dB."""

    bicubic: float
    ours: float


def enlarge(frame: Frame, scale: int, *, smooth: bool) -> Frame:
    """Enlarge a picture, by bicubic interpolation or by repeating its pixels."""
    height, width = frame.shape[:2]
    how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(frame).resize((width * scale, height * scale), how))


def luma_psnr(picture: Frame, truth: Frame) -> float:
    """Peak signal-to-noise ratio of two pictures' luma, in dB."""
    error = (picture.astype(np.float64) - truth) @ _LUMA
    return 20 * log10(255) - 10 * log10(max(float(np.mean(error**2)), 1e-10))


def quality(small: Path, ours: Path, truth: Iterable[Frame], scale: int) -> Quality:
    """Measure the finished file ``ours`` and the bicubic enlargement of ``small``, frame by frame.

    Ours is measured after its H.264 encoding and bicubic before any, so the difference is not flattered.
    """
    pairs = [
        (luma_psnr(enlarge(low.picture, scale, smooth=True), true), luma_psnr(high.picture, true))
        for low, high, true in zip(decode(probe(small)), decode(probe(ours)), truth, strict=True)
    ]
    bicubic, upscaled = np.mean(pairs, axis=0)
    return Quality(float(bicubic), float(upscaled))


def side_by_side(target: Path, small: Path, ours: Path, index: int, scale: int, truth: Frame | None) -> None:
    """Write a PNG of frame ``index``: the same part of the picture, as large as fits, in labelled tiles."""
    low, high = (next(islice(decode(probe(path)), index, None)).picture for path in (small, ours))
    tiles = [
        ("input, pixels enlarged", enlarge(low, scale, smooth=False)),
        ("bicubic", enlarge(low, scale, smooth=True)),
        ("FlashVSR", high),
    ]
    if truth is not None:
        tiles.append(("truth", truth))
    width, height = min(high.shape[1], _TILE[0]), min(high.shape[0], _TILE[1])
    columns = 2 if len(tiles) == 4 else len(tiles)
    rows = len(tiles) // columns
    sheet = Image.new("RGB", (columns * width, rows * (height + _LABEL)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(18)
    left, top = (high.shape[1] - width) // 2, (high.shape[0] - height) // 2
    for place, (label, picture) in enumerate(tiles):
        x, y = place % columns * width, place // columns * (height + _LABEL)
        draw.text((x + 6, y + 4), label, "black", font)
        sheet.paste(Image.fromarray(picture[top : top + height, left : left + width]), (x, y + _LABEL))
    sheet.save(target)
