"""Which YUV a message is in: its colour tags, and the matrix that they stand for."""

from __future__ import annotations

from typing import Final

from flashvsr_proto.errors import WireError
from flashvsr_proto.v1 import stream_pb2 as pb
from flashvsr_proto.yuv import Matrix

_WEIGHTS: Final = {
    pb.COLOR_MATRIX_BT601: (0.299, 0.114),
    pb.COLOR_MATRIX_BT709: (0.2126, 0.0722),
    pb.COLOR_MATRIX_BT2020: (0.2627, 0.0593),
}


def resolve(color: pb.ColorTags | None, height: int) -> pb.ColorTags:
    """Fill unspecified tags in: BT.709 from 720 lines up, else BT.601; limited range.

    Raises :class:`WireError` for a matrix or a range that is none of ours.
    """
    tags = pb.ColorTags()
    if color is not None:
        tags.CopyFrom(color)
    if tags.matrix == pb.COLOR_MATRIX_UNSPECIFIED:
        tags.matrix = pb.COLOR_MATRIX_BT709 if height >= 720 else pb.COLOR_MATRIX_BT601
    if tags.range == pb.COLOR_RANGE_UNSPECIFIED:
        tags.range = pb.COLOR_RANGE_LIMITED
    if tags.matrix not in _WEIGHTS:
        raise WireError(f"color.matrix {tags.matrix}: use BT601 (1), BT709 (2) or BT2020 (3)")
    if tags.range not in (pb.COLOR_RANGE_LIMITED, pb.COLOR_RANGE_FULL):
        raise WireError(f"color.range {tags.range}: use LIMITED (1) or FULL (2)")
    return tags


def matrix(resolved: pb.ColorTags) -> Matrix:
    """Give the matrix of tags from :func:`resolve`."""
    return Matrix(*_WEIGHTS[resolved.matrix], full_range=resolved.range == pb.COLOR_RANGE_FULL)
