"""Which YUV a file means, and the conversions to and from RGB that mean the same.

PyAV converts as BT.601 unless it is told otherwise, so every conversion here names matrix and range of both ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, VideoReformatter

from flashvsr_client.chunks import Frame
from flashvsr_client.errors import InputError
from flashvsr_client.media.hdr import HLG, PQ

# The numbers of ITU-T H.273, which files carry and FFmpeg uses.
RGB: Final = 0
BT709: Final = 1
UNSPECIFIED: Final = 2
SMPTE170M: Final = 6
# swscale's numbers for the same matrices; PyAV has names for some of them only
_SWSCALE: Final = {BT709: 1, 4: 4, 5: 5, SMPTE170M: 5, 7: 7, 9: 9, 10: 9}
_HD_LINES: Final = 720
_WHITE: Final = 65283
_RGB: Final = {8: "rgb24", 16: "rgb48le"}
# of swscale: bicubic; chroma interpolated at full resolution, both ways; exact rounding. PyAV 18 alone names them all
_FLAGS: Final = 0x4 | 0x2000 | 0x4000 | 0x40000


@dataclass(frozen=True, slots=True)
class Colors:
    """How YUV relates to light, in the numbers of H.273. The matrix is never unspecified."""

    matrix: int
    full_range: bool
    primaries: int
    transfer: int

    @property
    def range(self) -> ColorRange:
        """As FFmpeg calls it."""
        return ColorRange.JPEG if self.full_range else ColorRange.MPEG

    @property
    def is_hdr(self) -> bool:
        """Whether light is coded by PQ or HLG."""
        return self.transfer in (PQ, HLG)


SDR: Final = Colors(BT709, full_range=False, primaries=BT709, transfer=BT709)
"""What HDR becomes."""


def colors_of(frame: av.VideoFrame) -> Colors:
    """Read the tags of a decoded frame; untagged YUV is BT.709 from 720 lines up, else BT.601, and limited.

    An RGB source has no matrix of its own: it becomes limited BT.709. Raises :class:`InputError` for a matrix that
    cannot be converted, such as YCgCo.
    """
    primaries, transfer = int(frame.color_primaries), int(frame.color_trc)
    if frame.format.is_rgb:
        return Colors(BT709, full_range=False, primaries=primaries, transfer=transfer)
    matrix = int(frame.colorspace)
    if matrix in (RGB, UNSPECIFIED):
        matrix = BT709 if frame.height >= _HD_LINES else SMPTE170M
    if matrix not in _SWSCALE:
        raise InputError(
            f"colour matrix {matrix} of the input (H.273) is none of {sorted(_SWSCALE)}: convert it to BT.709 first"
        )
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    if frame.format.name.startswith("gray") and frame.color_range == ColorRange.UNSPECIFIED:
        full = True  # as FFmpeg has it, and as grey JPEGs are
    return Colors(matrix, full_range=full, primaries=primaries, transfer=transfer)


def rgb_frame(picture: Frame) -> av.VideoFrame:
    """Wrap RGB [h, w, 3], uint8 or uint16, as a frame."""
    pixel_format = _RGB[8 * picture.itemsize]
    return av.VideoFrame.from_ndarray(picture, format=pixel_format)  # type: ignore[arg-type]  # its stub wants one type


class Converter:
    """Converts frames between YUV of one kind and RGB. Not for use from two threads at once."""

    def __init__(self, colors: Colors) -> None:
        self._colors = colors
        self._matrix = _SWSCALE[colors.matrix]
        self._reformatter = VideoReformatter()
        self._tables: dict[tuple[float, float, float, float], npt.NDArray[np.uint16]] = {}

    def to_rgb(self, frame: av.VideoFrame, depth: int = 8) -> Frame:
        """Give the picture as RGB [h, w, 3], uint8 or, at a ``depth`` of 16, uint16."""
        source = ColorRange.JPEG if frame.format.is_rgb else self._colors.range
        picture = self._convert(frame, _RGB[depth], source, ColorRange.JPEG).to_ndarray()
        black, white = self._levels(frame.format, depth)
        return self._mapped(picture, (black, white), (0, (1 << depth) - 1))  # type: ignore[arg-type]

    def from_rgb(self, frame: Frame, pixel_format: str) -> av.VideoFrame:
        """Give RGB [h, w, 3], uint8 or uint16, in ``pixel_format``; RGB formats are of full range."""
        depth, target = 8 * frame.itemsize, av.VideoFormat(pixel_format)
        picture = self._mapped(frame, (0, (1 << depth) - 1), self._levels(target, depth, encoding=True))
        span = ColorRange.JPEG if target.is_rgb else self._colors.range
        source = rgb_frame(picture)
        return self._convert(source, pixel_format, ColorRange.JPEG, span)

    def _levels(self, kind: av.VideoFormat, depth: int, *, encoding: bool = False) -> tuple[float, float]:
        """Say where swscale has black and white in RGB, from or to the format ``kind``; measured, and held by tests.

        In 16 bits its white is 65283, but from YUV of full range it is the format's own white followed by zeros. It
        takes grey for full range whatever was said.
        """
        if kind.is_rgb:
            return 0, (1 << depth) - 1
        if kind.name.startswith("gray"):
            if self._colors.full_range:
                return 0, (1 << depth) - (1 << depth - kind.components[0].bits if depth > 8 else 1)
            return 16 << depth - 8, 235 << depth - 8
        if depth == 8:
            return 0, 255
        whole = self._colors.full_range and not encoding
        return 0, (1 << 16) - (1 << 16 - kind.components[0].bits) if whole else _WHITE

    def _mapped(self, picture: Frame, source: tuple[float, float], target: tuple[float, float]) -> Frame:
        """Map the levels ``source`` to ``target`` in a straight line."""
        if source == target:
            return picture
        table = self._tables.get((*source, *target))
        if table is None:
            codes = np.arange(1 << 8 * picture.itemsize)
            scaled = (codes - source[0]) * ((target[1] - target[0]) / (source[1] - source[0])) + target[0]
            table = np.rint(np.clip(scaled, 0, codes[-1])).astype(picture.dtype)
            self._tables[*source, *target] = table
        return table[picture]

    def _convert(
        self, frame: av.VideoFrame, pixel_format: str, source: ColorRange, target: ColorRange
    ) -> av.VideoFrame:
        return self._reformatter.reformat(
            frame,
            format=pixel_format,
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=source,
            dst_color_range=target,
            interpolation=_FLAGS,
            threads=1,
        )
