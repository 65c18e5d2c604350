"""Between RGB and planar YUV 4:2:0, 8 bit: the arithmetic alone, in float32.

A pixel's luma and colour differences come from the matrix's two weights Kr and Kb (ITU-R BT.601-7 2.5.1,
BT.709-6 3.2, BT.2020-2 table 4, non-constant luminance):
``Y = Kr R + (1 - Kr - Kb) G + Kb B``, ``U = (B - Y) / (2 - 2 Kb)``, ``V = (R - Y) / (2 - 2 Kr)``.
Limited range maps Y to 16..235 and U, V to 16..240 around 128; full range maps all to 0..255.

Chroma is sited at the centre of its 2 x 2 pixels: the mean of the four on the way down, bilinear (weights 9, 3, 3, 1
of 16) on the way up. An odd last row or column counts double.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
STRIP: Final = 64
"""Rows that are converted at once; even."""
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The weights of red and blue in luma, and the excursions of luma and chroma in 8-bit steps."""

    kr: float
    kb: float
    full_range: bool

    @property
    def kg(self) -> float:
        """The weight of green."""
        return 1.0 - self.kr - self.kb

    @property
    def luma(self) -> tuple[float, float]:
        """Steps of Y per step of RGB, and the offset of black."""
        return (1.0, 0.0) if self.full_range else (219 / 255, 16.0)

    @property
    def chroma(self) -> float:
        """Steps of U and V per step of a colour difference."""
        return 1.0 if self.full_range else 224 / 255


def chroma_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the U and V planes of a picture of that size."""
    return (width + 1) // 2, (height + 1) // 2


def from_rgb(frame: Bytes, matrix: Matrix) -> tuple[Bytes, Bytes, Bytes]:
    """Turn RGB [h, w, 3] into Y [h, w], U and V [ceil(h/2), ceil(w/2)]."""
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rows, columns = frame.shape[:2]
    y = np.empty((rows, columns), np.uint8)
    u, v = np.empty((2, rows // 2, columns // 2), np.uint8)
    for top in range(0, rows, STRIP):  # a strip's intermediate results stay in the processor's cache
        full, half = slice(top, top + STRIP), slice(top // 2, (top + STRIP) // 2)
        planes = np.ascontiguousarray(np.moveaxis(frame[full], -1, 0))
        _luma(planes, matrix, y[full])
        _chroma(_halve(planes), matrix, u[half], v[half])
    return y[:height, :width], u, v


def _luma(planes: Bytes, matrix: Matrix, out: Bytes) -> None:
    """Weigh R, G and B [3, h, w] into Y [h, w]."""
    gain, black = matrix.luma
    weights = np.array([matrix.kr, matrix.kg, matrix.kb], np.float32) * np.float32(gain)
    y = planes[0] * weights[0]
    y += planes[1] * weights[1]
    y += planes[2] * weights[2]
    out[...] = _to_bytes(y, black)


def _chroma(halved: Floats, matrix: Matrix, u: Bytes, v: Bytes) -> None:
    """Turn means of R, G and B [3, h, w] into U and V [h, w]."""
    red, green, blue = halved
    luma = red * np.float32(matrix.kr) + green * np.float32(matrix.kg) + blue * np.float32(matrix.kb)
    u[...] = _to_bytes((blue - luma) * np.float32(matrix.chroma / (2 - 2 * matrix.kb)), 128.0)
    v[...] = _to_bytes((red - luma) * np.float32(matrix.chroma / (2 - 2 * matrix.kr)), 128.0)


def to_rgb(y: Bytes, u: Bytes, v: Bytes, matrix: Matrix, out: Bytes) -> None:
    """Turn Y [h, w], U and V [ceil(h/2), ceil(w/2)] into RGB, written to ``out`` [h, w, 3]."""
    for top in range(0, len(y), STRIP):
        rows = slice(top, top + STRIP)
        part = y[rows]
        blue, red = (_double(plane, top, *part.shape) for plane in (u, v))
        out[rows] = np.moveaxis(_strip_to_rgb(part, blue, red, matrix), 0, -1)


def _strip_to_rgb(y: Bytes, blue: Floats, red: Floats, matrix: Matrix) -> Bytes:
    """Turn Y and the colour differences [h, w] into R, G and B [3, h, w]; the differences are used up."""
    gain, black = matrix.luma
    luma = (y - np.float32(black)) * np.float32(1 / gain)
    blue *= np.float32((2 - 2 * matrix.kb) / matrix.chroma)
    red *= np.float32((2 - 2 * matrix.kr) / matrix.chroma)
    planes = np.empty((3, *y.shape), np.uint8)
    planes[0] = _to_bytes(luma + red, 0.0)
    planes[2] = _to_bytes(luma + blue, 0.0)
    red *= np.float32(matrix.kr / matrix.kg)
    blue *= np.float32(matrix.kb / matrix.kg)
    luma -= red
    luma -= blue
    planes[1] = _to_bytes(luma, 0.0)
    return planes


def _halve(planes: Bytes) -> Floats:
    """Mean over 2 x 2 pixels, [3, h, w] -> [3, h/2, w/2], of even sizes."""
    columns = planes[:, 0::2].astype(np.uint16)
    columns += planes[:, 1::2]
    pairs = columns.view(np.uint32)  # two neighbours in one number: added by shifting, faster than by strides
    total = pairs & np.uint32(0xFFFF)
    total += pairs >> np.uint32(16)
    return total.astype(np.float32) * np.float32(0.25)


def _double(plane: Bytes, top: int, height: int, width: int) -> Floats:
    """Rows ``top`` (even) and on of the plane, bilinear x2 around the centres, [height, width], with 128 taken off."""
    first, last = top // 2, (top + height + 1) // 2
    near = np.arange(first - 1, last + 1).clip(0, len(plane) - 1)  # the outermost rows are repeated
    tall = _double_rows(plane[near].astype(np.int16), 2 * (last - first + 2))[2 : height + 2]
    wide = _double_columns(tall, width) * np.float32(1 / 16)
    wide -= np.float32(128)
    return wide


def _double_rows(plane: npt.NDArray[np.int16], rows: int) -> npt.NDArray[np.int16]:
    """Rows at a quarter and three quarters of each row of ``plane``, times 4; the outermost are repeated."""
    before = np.concatenate((plane[:1], plane[:-1]))
    after = np.concatenate((plane[1:], plane[-1:]))
    out = np.empty((2 * plane.shape[0], plane.shape[1]), np.int16)
    out[0::2] = 3 * plane + before
    out[1::2] = 3 * plane + after
    return out[:rows]


def _double_columns(plane: npt.NDArray[np.int16], columns: int) -> npt.NDArray[np.int16]:
    """The same along rows; both halves of a pair go into one number, which is faster than to write by strides."""
    before = np.concatenate((plane[:, :1], plane[:, :-1]), axis=1)
    after = np.concatenate((plane[:, 1:], plane[:, -1:]), axis=1)
    left, right = (3 * plane + before).astype("<u4"), (3 * plane + after).astype("<u4")
    right <<= np.uint32(16)
    left |= right
    return left.view("<i2")[:, :columns]


def _to_bytes(values: Floats, offset: float) -> Bytes:
    """Round to the nearest step after adding ``offset``, saturated; ``values`` is used up."""
    values += np.float32(offset + 0.5)
    np.clip(values, 0.0, 255.0, out=values)
    return values.astype(np.uint8)
