"""The kernels behind `norms`: one program per token, whose whole width lies in registers."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from flashvsr_engine.kernels.norms import EPS

_NORM_FLOOR = 1e-12
"""The least length that a vector is divided by, as in torch.nn.functional.normalize."""


def norm(x: Tensor, normed: Tensor, shift: Tensor, scale: Tensor, plus_one: bool) -> None:
    """normed = LayerNorm(x) * scale (or 1 + scale) + shift; x (batch, tokens, dim)."""
    _launch_norm(x, x, None, normed, shift, scale, plus_one, adds=False)


def residual_norm(
    x: Tensor, y: Tensor, gate: Tensor | None, normed: Tensor, shift: Tensor, scale: Tensor, plus_one: bool
) -> None:
    """x += gate * y, and the norm of the sum as in `norm`."""
    _launch_norm(x, y, gate, normed, shift, scale, plus_one, adds=True)


def residual(x: Tensor, y: Tensor, gate: Tensor | None) -> None:
    """x += gate * y; x and y (batch, tokens, dim)."""
    assert x.stride(2) == y.stride(2) == 1
    gated = gate is not None
    width = triton.next_power_of_2(x.shape[2])
    _residual[(x.shape[1], x.shape[0])](
        x, y, gate if gated else y, *x.stride()[:2], *y.stride()[:2], x.shape[2],
        GATED=gated, WIDTH=width, num_warps=_warps(width),
    )  # fmt: skip


def _launch_norm(
    x: Tensor,
    y: Tensor,
    gate: Tensor | None,
    normed: Tensor,
    shift: Tensor,
    scale: Tensor,
    plus_one: bool,
    adds: bool,
) -> None:
    assert x.stride(2) == y.stride(2) == normed.stride(2) == 1
    gated = gate is not None
    width = triton.next_power_of_2(x.shape[2])
    _norm[(x.shape[1], x.shape[0])](
        x, y, gate if gated else y, normed, shift, scale,
        *x.stride()[:2], *y.stride()[:2], *normed.stride()[:2], x.shape[2], EPS,
        ADDS=adds, GATED=gated, PLUS_ONE=plus_one, WIDTH=width, num_warps=_warps(width),
    )  # fmt: skip


def norm_rotate(x: Tensor, weight: Tensor, cos: Tensor, sin: Tensor, out: Tensor) -> None:
    """See `norms.norm_rotate`."""
    batch, tokens, heads, head_dim = out.shape
    assert x.stride(2) == out.stride(3) == 1
    assert x.shape == (batch, tokens, heads * head_dim)
    assert cos.is_contiguous()
    assert sin.is_contiguous()
    lanes, half = triton.next_power_of_2(heads), head_dim // 2
    assert half & (half - 1) == 0, "heads of 64 or 128"
    _norm_rotate[(tokens, batch)](
        x, weight, cos, sin, out, *x.stride()[:2], *out.stride()[:3], tokens * half if cos.ndim == 3 else 0, EPS,
        HEADS=heads, HALF=half, LANES=lanes, num_warps=_warps(lanes * head_dim),
    )  # fmt: skip


def channel_norm_silu(x: Tensor, gamma: Tensor) -> None:
    """See `norms.channel_norm_silu`; in place, x contiguous."""
    assert x.is_contiguous()
    dim = x.shape[-1]
    width = triton.next_power_of_2(dim)
    _channel_norm_silu[(x.numel() // dim,)](x, gamma, dim, dim**0.5, _NORM_FLOOR, WIDTH=width, num_warps=_warps(width))


def _warps(width: int) -> int:
    """32 channels for each thread: measured best on an H200 at a width of 1536."""
    return max(1, min(8, width // 1024))


@triton.jit
def _norm(
    x,
    y,
    gate,
    normed,
    shift,
    scale,
    x_batch,
    x_token,
    y_batch,
    y_token,
    out_batch,
    out_token,
    dim,
    eps,
    ADDS: tl.constexpr,
    GATED: tl.constexpr,
    PLUS_ONE: tl.constexpr,
    WIDTH: tl.constexpr,
):
    token, batch = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    column = tl.arange(0, WIDTH)
    inside = column < dim
    x += batch * x_batch + token * x_token + column
    value = tl.load(x, mask=inside, other=0.0).to(tl.float32)
    if ADDS:
        added = tl.load(y + batch * y_batch + token * y_token + column, mask=inside, other=0.0).to(tl.float32)
        if GATED:
            added *= tl.load(gate + column, mask=inside, other=0.0).to(tl.float32)
        total = (value + added).to(x.dtype.element_ty)
        tl.store(x, total, mask=inside)
        value = total.to(tl.float32)
    mean = tl.sum(value, 0) / dim
    centred = tl.where(inside, value - mean, 0.0)
    spread = tl.sum(centred * centred, 0) / dim
    factor = tl.load(scale + column, mask=inside, other=0.0).to(tl.float32)
    if PLUS_ONE:
        factor += 1.0
    offset = tl.load(shift + column, mask=inside, other=0.0).to(tl.float32)
    result = centred * tl.rsqrt(spread + eps) * factor + offset
    normed += batch * out_batch + token * out_token + column
    tl.store(normed, result.to(normed.dtype.element_ty), mask=inside)


@triton.jit
def _residual(x, y, gate, x_batch, x_token, y_batch, y_token, dim, GATED: tl.constexpr, WIDTH: tl.constexpr):
    token, batch = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    column = tl.arange(0, WIDTH)
    inside = column < dim
    x += batch * x_batch + token * x_token + column
    added = tl.load(y + batch * y_batch + token * y_token + column, mask=inside, other=0.0).to(tl.float32)
    if GATED:
        added *= tl.load(gate + column, mask=inside, other=0.0).to(tl.float32)
    total = tl.load(x, mask=inside, other=0.0).to(tl.float32) + added
    tl.store(x, total.to(x.dtype.element_ty), mask=inside)


@triton.jit
def _norm_rotate(
    x,
    weight,
    cos,
    sin,
    out,
    x_batch,
    x_token,
    out_batch,
    out_token,
    out_head,
    angle_batch,
    eps,
    HEADS: tl.constexpr,
    HALF: tl.constexpr,
    LANES: tl.constexpr,
):
    token, batch = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    head, column = tl.arange(0, LANES), tl.arange(0, 2 * HALF)
    inside = (head < HEADS)[:, None] & (column >= 0)[None, :]
    place = head[:, None] * (2 * HALF) + column[None, :]
    value = tl.load(x + batch * x_batch + token * x_token + place, mask=inside, other=0.0).to(tl.float32)
    mean_square = tl.sum(tl.sum(value * value, 1), 0) / (HEADS * 2 * HALF)
    value *= tl.rsqrt(mean_square + eps)
    value *= tl.load(weight + place, mask=inside, other=0.0).to(tl.float32)
    even, odd = tl.split(tl.reshape(value, (LANES, HALF, 2)))
    angle = batch * angle_batch + token * HALF + tl.arange(0, HALF)
    c, s = tl.load(cos + angle)[None, :], tl.load(sin + angle)[None, :]
    turned = tl.reshape(tl.join(even * c - odd * s, even * s + odd * c), (LANES, 2 * HALF))
    out += batch * out_batch + token * out_token
    tl.store(out + head[:, None] * out_head + column[None, :], turned.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _channel_norm_silu(x, gamma, dim, root, floor, WIDTH: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * dim
    column = tl.arange(0, WIDTH)
    inside = column < dim
    value = tl.load(x + row + column, mask=inside, other=0.0).to(tl.float32)
    length = tl.maximum(tl.sqrt(tl.sum(value * value, 0)), floor)
    value = value / length * (root * tl.load(gamma + column, mask=inside, other=0.0).to(tl.float32))
    value = value / (1.0 + tl.exp(-value))
    tl.store(x + row + column, value.to(x.dtype.element_ty), mask=inside)
