"""The last step of an output frame in one pass: its colours' affine map, clamped, rounded to bytes, interleaved."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_PIXELS = 1024


def pack(y: Tensor, factor: Tensor, offset: Tensor, height: int, width: int) -> Tensor:
    """See `pack.pack`."""
    frames = y.shape[0]
    assert y.stride(3) == 1
    packed = torch.empty(frames, height, width, 3, dtype=torch.uint8, device=y.device)
    grid = (triton.cdiv(width, _PIXELS), height, frames)
    _pack[grid](y, factor, offset, packed, *y.stride()[:3], height, width, PIXELS=_PIXELS, num_warps=4)
    return packed


@triton.jit
def _pack(y, factor, offset, packed, y_frame, y_colour, y_row, height, width, PIXELS: tl.constexpr):  # type: ignore[no-untyped-def]  # fmt: skip
    frame, row = tl.program_id(2).to(tl.int64), tl.program_id(1).to(tl.int64)
    index = tl.program_id(0) * 3 * PIXELS + tl.arange(0, 4 * PIXELS)
    colour, column = index % 3, index // 3
    inside = (tl.arange(0, 4 * PIXELS) < 3 * PIXELS) & (column < width)
    value = tl.load(y + frame * y_frame + colour * y_colour + row * y_row + column, mask=inside, other=0.0)
    value = value.to(tl.float32) * tl.load(factor + frame * 3 + colour) + tl.load(offset + frame * 3 + colour)
    value = tl.minimum(tl.maximum(value, -1.0), 1.0) * 127.5 + 127.5
    whole = tl.floor(value)
    rest = value - whole
    up = (rest > 0.5) | ((rest == 0.5) & (whole % 2 == 1))
    value = tl.where(up, whole + 1.0, whole)
    tl.store(packed + (frame * height + row) * width * 3 + index, value.to(tl.uint8), mask=inside)
