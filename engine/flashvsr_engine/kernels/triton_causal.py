"""The kernels behind `causal`: each program takes some places of a row, with all their channels and frames."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from flashvsr_engine.kernels.causal import EPS

_TILE = 4096
"""Values of a frame that a program holds."""


def fill(out: Tensor, x: Tensor, memory: Tensor, bias: Tensor | None, gamma: Tensor | None) -> None:
    """See `causal.fill_causal`."""
    batch, frames, rows, columns, channels = x.shape
    x = x if x.stride(4) == 1 else x.contiguous()  # latents, which are small
    assert out.stride(4) == memory.stride(4) == 1
    width = triton.next_power_of_2(channels)
    places = max(1, _TILE // width)
    _fill[(triton.cdiv(columns, places), rows, batch)](
        out, x, memory, x if bias is None else bias, x if gamma is None else gamma, columns, channels, EPS,
        *out.stride()[:4], *x.stride()[:4], *memory.stride()[:4],
        FRAMES=frames, BIASED=bias is not None, NORMED=gamma is not None, PLACES=places, WIDTH=width, num_warps=4,
    )  # fmt: skip


def add(x: Tensor, y: Tensor, bias: Tensor) -> None:
    """See `causal.add_biased`."""
    batch, frames, rows, columns, channels = x.shape
    assert x.stride(4) == y.stride(4) == 1
    width = triton.next_power_of_2(channels)
    places = max(1, _TILE // width)
    _add[(triton.cdiv(columns, places), rows, batch)](
        x, y, bias, columns, channels, *x.stride()[:4], *y.stride()[:4],
        FRAMES=frames, PLACES=places, WIDTH=width, num_warps=4,
    )  # fmt: skip


@triton.jit
def _fill(
    out,
    x,
    memory,
    bias,
    gamma,
    columns,
    channels,
    eps,
    out_batch,
    out_frame,
    out_row,
    out_column,
    x_batch,
    x_frame,
    x_row,
    x_column,
    memory_batch,
    memory_frame,
    memory_row,
    memory_column,
    FRAMES: tl.constexpr,
    BIASED: tl.constexpr,
    NORMED: tl.constexpr,
    PLACES: tl.constexpr,
    WIDTH: tl.constexpr,
):
    place = (tl.program_id(0) * PLACES + tl.arange(0, PLACES))[:, None].to(tl.int64)
    row, batch = tl.program_id(1).to(tl.int64), tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, WIDTH)[None, :]
    inside = (place < columns) & (channel < channels)
    out += batch * out_batch + row * out_row + place * out_column + channel
    x += batch * x_batch + row * x_row + place * x_column + channel
    memory += batch * memory_batch + row * memory_row + place * memory_column + channel
    older = tl.load(memory, mask=inside)
    newer = tl.load(memory + memory_frame, mask=inside)
    tl.store(out, older, mask=inside)
    tl.store(out + out_frame, newer, mask=inside)
    for frame in tl.static_range(FRAMES):
        value = tl.load(x + frame * x_frame, mask=inside, other=0.0).to(tl.float32)
        if BIASED:
            value += tl.load(bias + channel, mask=channel < channels, other=0.0).to(tl.float32)
        if NORMED:
            mean_square = tl.sum(value * value, 1) / channels
            value *= tl.rsqrt(mean_square + eps)[:, None]
            value *= tl.load(gamma + channel, mask=channel < channels, other=0.0).to(tl.float32)
            value = value / (1.0 + tl.exp(-value))
        older = newer
        newer = value.to(out.dtype.element_ty)
        tl.store(out + (2 + frame) * out_frame, newer, mask=inside)
    tl.store(memory, older, mask=inside)
    tl.store(memory + memory_frame, newer, mask=inside)


@triton.jit
def _add(
    x,
    y,
    bias,
    columns,
    channels,
    x_batch,
    x_frame,
    x_row,
    x_column,
    y_batch,
    y_frame,
    y_row,
    y_column,
    FRAMES: tl.constexpr,
    PLACES: tl.constexpr,
    WIDTH: tl.constexpr,
):
    place = (tl.program_id(0) * PLACES + tl.arange(0, PLACES))[:, None].to(tl.int64)
    row, batch = tl.program_id(1).to(tl.int64), tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, WIDTH)[None, :]
    inside = (place < columns) & (channel < channels)
    offset = tl.load(bias + channel, mask=channel < channels, other=0.0).to(tl.float32)
    x += batch * x_batch + row * x_row + place * x_column + channel
    y += batch * y_batch + row * y_row + place * y_column + channel
    for frame in tl.static_range(FRAMES):
        total = tl.load(x + frame * x_frame, mask=inside, other=0.0).to(tl.float32)
        total += tl.load(y + frame * y_frame, mask=inside, other=0.0).to(tl.float32) + offset
        tl.store(x + frame * x_frame, total.to(x.dtype.element_ty), mask=inside)
