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

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
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
    gain, black = matrix.luma
    y_weights = np.array([matrix.kr, matrix.kg, matrix.kb], np.float32) * np.float32(gain)
    y = frame[..., 0] * y_weights[0]
    y += frame[..., 1] * y_weights[1]
    y += frame[..., 2] * y_weights[2]
    red, green, blue = np.moveaxis(_halve(frame), -1, 0)
    difference = red * np.float32(matrix.kr) + green * np.float32(matrix.kg) + blue * np.float32(matrix.kb)
    u = (blue - difference) * np.float32(matrix.chroma / (2 - 2 * matrix.kb))
    v = (red - difference) * np.float32(matrix.chroma / (2 - 2 * matrix.kr))
    return _to_bytes(y, black), _to_bytes(u, 128.0), _to_bytes(v, 128.0)


def to_rgb(y: Bytes, u: Bytes, v: Bytes, matrix: Matrix, out: Bytes) -> None:
    """Turn Y [h, w], U and V [ceil(h/2), ceil(w/2)] into RGB, written to ``out`` [h, w, 3]."""
    height, width = y.shape
    gain, black = matrix.luma
    luma = (y - np.float32(black)) * np.float32(1 / gain)
    blue = _double(u, height, width) * np.float32((2 - 2 * matrix.kb) / matrix.chroma)
    red = _double(v, height, width) * np.float32((2 - 2 * matrix.kr) / matrix.chroma)
    out[..., 0] = _to_bytes(luma + red, 0.0)
    out[..., 2] = _to_bytes(luma + blue, 0.0)
    luma -= red * np.float32(matrix.kr / matrix.kg)
    luma -= blue * np.float32(matrix.kb / matrix.kg)
    out[..., 1] = _to_bytes(luma, 0.0)


def _halve(frame: Bytes) -> Floats:
    """Mean over 2 x 2 pixels, [h, w, 3] -> [ceil(h/2), ceil(w/2), 3]."""
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rows = frame[0::2].astype(np.uint16) + frame[1::2]
    return (rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25)


def _double(plane: Bytes, height: int, width: int) -> Floats:
    """Bilinear x2 around the centres, [h2, w2] -> [height, width], with 128 taken off."""
    tall = _double_rows(plane.astype(np.int16), height)
    wide = _double_rows(np.ascontiguousarray(tall.T), width).T
    return np.ascontiguousarray(wide) * np.float32(1 / 16) - np.float32(128)


def _double_rows(plane: npt.NDArray[np.int16], rows: int) -> npt.NDArray[np.int16]:
    """Rows at a quarter and three quarters of each row of ``plane``, times 4; the outermost are repeated."""
    before = np.concatenate((plane[:1], plane[:-1]))
    after = np.concatenate((plane[1:], plane[-1:]))
    out = np.empty((2 * plane.shape[0], plane.shape[1]), np.int16)
    out[0::2] = 3 * plane + before
    out[1::2] = 3 * plane + after
    return out[:rows]


def _to_bytes(values: Floats, offset: float) -> Bytes:
    """Round to the nearest step after adding ``offset``, saturated; ``values`` is used up."""
    values += np.float32(offset + 0.5)
    np.clip(values, 0.0, 255.0, out=values)
    return values.astype(np.uint8)
