"""The last step of an output frame in one pass: its colours' affine map, clamped, rounded to bytes, interleaved."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_PIXELS = 1024


def pack(y: Tensor, factor: Tensor, offset: Tensor, packed: Tensor) -> None:
    """See `pack.pack`; packed: uint8 (frames, height, width, 3), contiguous."""
    frames, height, width, _ = packed.shape
    assert y.stride(3) == 1
    assert packed.is_contiguous()
    grid = (triton.cdiv(width, _PIXELS), height, frames)
    _pack[grid](y, factor, offset, packed, *y.stride()[:3], height, width, PIXELS=_PIXELS, num_warps=4)


@triton.jit
def _pack(y, factor, offset, packed, y_frame, y_colour, y_row, height, width, PIXELS: tl.constexpr):  # type: ignore[no-untyped-def]  # fmt: skip
    frame, row = tl.program_id(2).to(tl.int64), tl.program_id(1).to(tl.int64)
    column = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = column < width
    y += frame * y_frame + row * y_row + column
    packed += ((frame * height + row) * width + column) * 3
    for colour in tl.static_range(3):
        value = tl.load(y + colour * y_colour, mask=inside, other=0.0).to(tl.float32)
        value = value * tl.load(factor + frame * 3 + colour) + tl.load(offset + frame * 3 + colour)
        tl.store(packed + colour, _byte(value), mask=inside)


@triton.jit
def _byte(value):  # type: ignore[no-untyped-def]
    """[-1, 1] to 0 .. 255, halves to the even number."""
    value = tl.minimum(tl.maximum(value, -1.0), 1.0) * 127.5 + 127.5
    whole = tl.floor(value)
    rest = value - whole
    up = (rest > 0.5) | ((rest == 0.5) & (whole % 2 == 1))
    return tl.where(up, whole + 1.0, whole).to(tl.uint8)
