"""A mask of blocks as lists, which kernels walk: how many key blocks each block of queries keeps, and which."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from flashvsr_engine.kernels.packages import triton_runs_on
from flashvsr_engine.kernels.selection import QUERY_BLOCK


class BlockLists(NamedTuple):
    """Lists of a mask (batch, heads, query blocks, key blocks), all int32.

    counts (batch, heads, query blocks): key blocks kept. indices (batch, heads, query blocks, key blocks): the
    first `count` of a row are the kept key blocks, in rising order; what follows are valid block numbers without
    meaning. order (batch, heads, query blocks): query blocks by falling count, so that the longest start first.
    """

    counts: Tensor
    indices: Tensor
    order: Tensor


def block_lists(mask: Tensor) -> BlockLists:
    """The lists of a bool mask (batch, heads, query blocks, key blocks); the host waits for nothing."""
    if triton_runs_on(mask.device):
        from flashvsr_engine.kernels import triton_lists

        return triton_lists.block_lists(mask)
    counts = mask.sum(-1, dtype=torch.int32)
    indices = mask.logical_not().to(torch.uint8).argsort(dim=-1, stable=True)
    order = counts.argsort(dim=-1, descending=True, stable=True)
    return BlockLists(counts, indices.to(torch.int32), order.to(torch.int32))


def list_bytes(q: Tensor, k: Tensor, block_kv: int) -> int:
    """Bytes of the lists for queries q and keys k, (batch, heads, tokens, head_dim)."""
    rows = q.shape[0] * q.shape[1] * (q.shape[2] // QUERY_BLOCK)
    return rows * (2 + k.shape[2] // block_kv) * torch.int32.itemsize
