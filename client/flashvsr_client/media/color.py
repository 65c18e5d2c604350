"""Which YUV a file means, and the conversions to and from RGB that mean the same.

PyAV converts as BT.601 unless it is told otherwise, so every conversion here names matrix and range of both ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import av
from av.video.reformatter import ColorRange, VideoReformatter

from flashvsr_client.chunks import Frame
from flashvsr_client.errors import InputError

# The numbers of ITU-T H.273, which files carry and FFmpeg uses.
RGB: Final = 0
BT709: Final = 1
UNSPECIFIED: Final = 2
SMPTE170M: Final = 6
# swscale's numbers for the same matrices; PyAV has names for some of them only
_SWSCALE: Final = {BT709: 1, 4: 4, 5: 5, SMPTE170M: 5, 7: 7, 9: 9, 10: 9}
_HD_LINES: Final = 720
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
    return Colors(matrix, full_range=full, primaries=primaries, transfer=transfer)


class Converter:
    """Converts frames between YUV of one kind and RGB. Not for use from two threads at once."""

    def __init__(self, colors: Colors) -> None:
        self._colors = colors
        self._matrix = _SWSCALE[colors.matrix]
        self._reformatter = VideoReformatter()

    def to_rgb(self, frame: av.VideoFrame) -> Frame:
        """Give the picture as uint8 RGB [h, w, 3], 8 bits whatever the source has."""
        source = ColorRange.JPEG if frame.format.is_rgb else self._colors.range
        return self._convert(frame, "rgb24", source, ColorRange.JPEG).to_ndarray()  # type: ignore[return-value]

    def from_rgb(self, frame: Frame, pixel_format: str) -> av.VideoFrame:
        """Give uint8 RGB [h, w, 3] as YUV in ``pixel_format``."""
        return self._convert(av.VideoFrame.from_ndarray(frame), pixel_format, ColorRange.JPEG, self._colors.range)

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
