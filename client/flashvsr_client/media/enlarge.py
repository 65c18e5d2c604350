"""Bicubic enlargement: what a result is compared with."""

from __future__ import annotations

import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from flashvsr_client.chunks import Frame
from flashvsr_client.media.color import rgb_frame


def enlarged(picture: Frame, width: int, height: int) -> Frame:
    """Give RGB [h, w, 3], uint8 or uint16, at the size ``width`` x ``height``, by swscale's bicubic interpolation."""
    how = Interpolation.BICUBIC | Interpolation.ACCURATE_RND
    frame = VideoReformatter().reformat(rgb_frame(np.ascontiguousarray(picture)), width, height, interpolation=how)
    return frame.to_ndarray()  # type: ignore[return-value]  # of RGB it is one of the two
