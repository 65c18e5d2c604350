"""Bicubic enlargement in one pass: each output pixel from its 4 x 4 input pixels."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_COLUMNS = 256


def enlarge(frames: Tensor, size: tuple[int, int], out: Tensor) -> None:
    """See `enlarge.enlarge`; out: float32 (1, 3, T, H, W), contiguous, H and W padded."""
    count, height, width, _ = frames.shape
    assert frames.is_contiguous()
    assert out.is_contiguous()
    grid = (triton.cdiv(out.shape[4], _COLUMNS), out.shape[3], count)
    _enlarge[grid](
        frames, out, height, width, *size, *out.shape[3:], height / size[0], width / size[1],
        float(torch.iinfo(frames.dtype).max),
        COLUMNS=_COLUMNS, num_warps=4,
    )  # fmt: skip


@triton.jit
def _reflect(index, size):
    index = index % (2 * size - 2)
    return tl.where(index < size, index, 2 * size - 2 - index)


@triton.jit
def _cubic(distance):
    """The cubic convolution kernel with a = -0.5."""
    x = tl.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((2.5 - 0.5 * x) * x - 4.0) * x + 2.0
    return tl.where(x < 1.0, near, tl.where(x < 2.0, far, 0.0))


@triton.jit
def _tap(first, tap: tl.constexpr, size, centre):
    """Place and weight of one of the four input pixels of an axis; no weight beyond the picture's end."""
    place = first + tap
    return tl.minimum(place, size - 1), tl.where(place < size, _cubic(place + 0.5 - centre), 0.0)


@triton.jit
def _enlarge(
    frames,
    out,
    height,
    width,
    made_height,
    made_width,
    out_height,
    out_width,
    row_scale,
    column_scale,
    peak,
    COLUMNS: tl.constexpr,
):
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    row = tl.program_id(1) + 0 * column
    frame, inside = tl.program_id(2).to(tl.int64), column < out_width
    across = column_scale * (_reflect(column, made_width) + 0.5)
    down = row_scale * (_reflect(row, made_height) + 0.5)
    left = tl.maximum(tl.floor(across - 1.5).to(tl.int32), 0)
    top = tl.maximum(tl.floor(down - 1.5).to(tl.int32), 0)
    red = tl.zeros((COLUMNS,), tl.float32)
    green = tl.zeros((COLUMNS,), tl.float32)
    blue = tl.zeros((COLUMNS,), tl.float32)
    total = tl.zeros((COLUMNS,), tl.float32)
    frames += frame * height * width * 3
    for i in tl.static_range(4):
        y, vertical = _tap(top, i, height, down)
        for j in tl.static_range(4):
            x, horizontal = _tap(left, j, width, across)
            weight = vertical * horizontal
            pixel = frames + (y * width + x) * 3
            total += weight
            red += weight * tl.load(pixel, mask=inside, other=0).to(tl.float32)
            green += weight * tl.load(pixel + 1, mask=inside, other=0).to(tl.float32)
            blue += weight * tl.load(pixel + 2, mask=inside, other=0).to(tl.float32)
    scale, plane = 1.0 / (peak * total), tl.num_programs(2).to(tl.int64) * out_height * out_width
    target = out + (frame * out_height + row) * out_width + column
    tl.store(target, _signed(red * scale), mask=inside)
    tl.store(target + plane, _signed(green * scale), mask=inside)
    tl.store(target + 2 * plane, _signed(blue * scale), mask=inside)


@triton.jit
def _signed(value):
    return tl.minimum(tl.maximum(value, 0.0), 1.0) * 2.0 - 1.0
