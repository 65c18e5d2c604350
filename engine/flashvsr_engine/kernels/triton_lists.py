"""Block lists in Triton; their twin is in `block_lists`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashvsr_engine.kernels.block_lists import BlockLists


def block_lists(mask: Tensor) -> BlockLists:
    """See `block_lists.block_lists`."""
    batch, heads, rows, columns = mask.shape
    indices = torch.empty(mask.shape, dtype=torch.int32, device=mask.device)
    counts = torch.empty(mask.shape[:3], dtype=torch.int32, device=mask.device)
    order = torch.empty_like(counts)
    bytes_ = mask.contiguous().view(torch.uint8)
    _row_lists[(batch * heads * rows,)](bytes_, counts, indices, columns, BLOCK=triton.next_power_of_2(columns))
    _order[(batch * heads,)](counts, order, rows, BLOCK=triton.next_power_of_2(rows))
    return BlockLists(counts, indices, order)


@triton.jit
def _row_lists(mask, counts, indices, columns, BLOCK: tl.constexpr):
    """One row of the mask: kept columns first, then the others, each in rising order."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    kept = tl.load(mask + row * columns + column, mask=column < columns, other=0).to(tl.int32)
    before = tl.cumsum(kept, 0) - kept
    count = tl.sum(kept, 0)
    place = tl.where(kept != 0, before, count + column - before)
    tl.store(indices + row * columns + place, column, mask=column < columns)
    tl.store(counts + row, count)


@triton.jit
def _order(counts, order, rows, BLOCK: tl.constexpr):
    """Rank of each count among its head's: how many rows go before it."""
    first = tl.program_id(0) * rows
    row = tl.arange(0, BLOCK)
    own = tl.load(counts + first + row, mask=row < rows, other=0)
    rank = tl.zeros((BLOCK,), tl.int32)
    for other in range(rows):
        theirs = tl.load(counts + first + other)
        rank += ((theirs > own) | ((theirs == own) & (other < row))).to(tl.int32)
    tl.store(order + first + rank, row, mask=row < rows)
