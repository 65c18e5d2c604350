"""Block means and the selection threshold in Triton; their twins are in `selection`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_LANES = 4096
_ROWS = 8


def block_means(x: Tensor, block: int) -> Tensor:
    """See `selection.block_means`."""
    batch, heads, tokens, head_dim = x.shape
    assert x.stride(3) == 1
    means = torch.empty(batch, heads, tokens // block, head_dim, dtype=torch.float32, device=x.device)
    _means[(tokens // block, heads, batch)](x, means, *x.stride()[:3], HEAD_DIM=head_dim, BLOCK=block, num_warps=8)
    return means


@triton.jit
def _means(x, means, stride_b, stride_h, stride_t, HEAD_DIM: tl.constexpr, BLOCK: tl.constexpr):
    block, head, batch = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    token = block * BLOCK + tl.arange(0, BLOCK)
    column = tl.arange(0, HEAD_DIM)
    x += batch.to(tl.int64) * stride_b + head.to(tl.int64) * stride_h
    values = tl.load(x + token[:, None].to(tl.int64) * stride_t + column[None, :]).to(tl.float32)
    row = (batch * tl.num_programs(1) + head) * tl.num_programs(0) + block
    tl.store(means + row * HEAD_DIM + column, tl.sum(values, 0) / BLOCK)


def nth_largest(x: Tensor, n: int) -> Tensor:
    """The n-th largest of each row of x, float32 (..., length) from 0 to 1: float32 (..., 1)."""
    rows = x.contiguous().flatten(0, -2)
    found = torch.empty(len(rows), dtype=torch.float32, device=x.device)
    length = rows.shape[1]
    assert length < 1 << 21, "counts of 21 bits"
    lanes = _LANES if length > _ROWS * _LANES // 2 else _LANES // 2
    once = length <= _ROWS * lanes
    _nth_largest[(len(rows),)](rows, found, length, n, LANES=lanes, ROWS=_ROWS, ONCE=once, num_warps=lanes // 128)
    return found.view(*x.shape[:-1], 1)


@triton.jit
def _nth_largest(x, found, length, n, LANES: tl.constexpr, ROWS: tl.constexpr, ONCE: tl.constexpr):
    """The answer's bits from the highest down, two at a time: each pass counts the values that reach three guesses.

    A float32 from 0 to 1, read as an integer, sorts as the number does, and its two highest bits are clear. ONCE: all
    values fit into registers and are read once, not at every pass.
    """
    x += tl.program_id(0).to(tl.int64) * length
    offset = tl.arange(0, ROWS)[:, None] * LANES + tl.arange(0, LANES)[None, :]
    bits = tl.load(x + offset, mask=offset < length, other=-1.0).to(tl.int32, bitcast=True)
    answer = tl.program_id(0) * 0
    for done in range(0, 30, 2):
        unit = 1 << (28 - done)
        reached = _reaching(bits, answer, unit)
        if not ONCE:
            for start in range(ROWS * LANES, length, ROWS * LANES):
                here = start + offset
                more = tl.load(x + here, mask=here < length, other=-1.0).to(tl.int32, bitcast=True)
                reached += _reaching(more, answer, unit)
        counts = tl.sum(reached, 0)
        for step in tl.static_range(3):
            answer += tl.where(((counts >> (21 * step)) & ((1 << 21) - 1)) >= n, unit, 0)
    tl.store(found + tl.program_id(0), answer.to(tl.float32, bitcast=True))


@triton.jit
def _reaching(bits, answer, unit):
    """Per column, how many values reach the guesses answer + 1, 2 and 3 units: 21 bits each, to be added as one."""
    one = tl.sum((bits >= answer + unit).to(tl.int32), 0)
    two = tl.sum((bits >= answer + 2 * unit).to(tl.int32), 0)
    three = tl.sum((bits >= answer + 3 * unit).to(tl.int32), 0)
    return one.to(tl.int64) + (two.to(tl.int64) << 21) + (three.to(tl.int64) << 42)
