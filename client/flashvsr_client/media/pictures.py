"""From a decoded frame to the picture that the engine gets: upright, RGB, of the stream's size, SDR where asked."""

from __future__ import annotations

from typing import Final

import av
import numpy as np

from flashvsr_client.chunks import Frame
from flashvsr_client.errors import InputError
from flashvsr_client.media.color import SDR, Colors, Converter
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.media.tonemap import ToneMap

_TO_BYTES: Final = 257  # 65535 / 255


class RgbReader:
    """Converts the frames of one input."""

    def __init__(self, info: VideoInfo, depth: int) -> None:
        """``depth``: of the pictures, 8 for uint8 and 16 for uint16."""
        self._info = info
        self._depth = depth
        self._converter = Converter(info.colors)
        self._tone_map = ToneMap(info.colors.transfer, _peak(info)) if is_tone_mapped(info) else None

    def __call__(self, frame: av.VideoFrame) -> Frame:
        """Give the picture [h, w, 3]. Raises :class:`InputError` for another size than the stream's."""
        info = self._info
        width, height = (frame.height, frame.width) if info.orientation.transposed else (frame.width, frame.height)
        if (width, height) != (info.width, info.height):
            raise InputError(
                f"{info.path} changes its size from {info.width}x{info.height} to {width}x{height}: "
                "cut it there and upscale the parts"
            )
        if self._tone_map is None:
            return info.orientation.upright(self._converter.to_rgb(frame, self._depth))
        mapped = self._tone_map(self._converter.to_rgb(frame, 16))
        if self._depth == 8:
            mapped = ((mapped.astype(np.uint32) + _TO_BYTES // 2) // _TO_BYTES).astype(np.uint8)
        return info.orientation.upright(mapped)


def is_tone_mapped(info: VideoInfo) -> bool:
    """Whether the input is HDR and becomes SDR."""
    return info.colors.is_hdr and info.reading.hdr == "tonemap"


def output_colors(info: VideoInfo) -> Colors:
    """Colours of the pictures that come out."""
    return SDR if is_tone_mapped(info) else info.colors


def _peak(info: VideoInfo) -> float | None:
    return None if info.light is None else info.light.peak
