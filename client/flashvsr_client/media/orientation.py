"""How a stored picture has to be turned and mirrored to be upright."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from av.sidedata.sidedata import Type

from flashvsr_client.chunks import Frame
from flashvsr_client.errors import InputError
from flashvsr_client.media.sidedata import side_data

_SKEW: Final = 0.01  # of the larger matrix element: less is rounding


@dataclass(frozen=True, slots=True)
class Orientation:
    """Rows and columns are exchanged first, then the picture is mirrored."""

    transposed: bool = False
    mirrored: bool = False
    """Left to right."""
    flipped: bool = False
    """Top to bottom."""

    def upright(self, picture: Frame) -> Frame:
        """Apply it to a picture [h, w, 3]; a view."""
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.flipped else 1, :: -1 if self.mirrored else 1]


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Read a frame's display matrix: (x, y) of a stored pixel goes to (a x + c y, b x + d y).

    Raises :class:`InputError` for a turn that is no multiple of a quarter.
    """
    matrix = side_data(frame, Type.DISPLAYMATRIX)
    if matrix is None:
        return _of_rotation(frame)
    a, b, _, c, d = np.frombuffer(matrix, np.int32, 5) / 65536.0
    straight, crossed = max(abs(a), abs(d)), max(abs(b), abs(c))
    if min(straight, crossed) > _SKEW * max(straight, crossed):
        raise InputError(
            f"the input is to be shown turned by {frame.rotation} degrees: turn it first, such as by "
            "`ffmpeg -i IN -vf transpose OUT`; multiples of 90 are applied here"
        )
    if crossed > straight:
        return Orientation(transposed=True, mirrored=bool(c < 0), flipped=bool(b < 0))
    return Orientation(mirrored=bool(a < 0), flipped=bool(d < 0))


def _of_rotation(frame: av.VideoFrame) -> Orientation:
    """Read the angle alone, counterclockwise, which PyAV finds where it cannot give the matrix."""
    turns = round(frame.rotation / 90) % 4
    return Orientation(transposed=turns % 2 == 1, mirrored=turns in (2, 3), flipped=turns in (1, 2))
