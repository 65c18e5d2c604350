"""Which blocks of keys each block of queries sees: locality-constrained, under a budget of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flashvsr_engine.kernels.packages import triton_runs_on

QUERY_BLOCK = 128


@dataclass(frozen=True, slots=True)
class BlockGrid:
    """What block selection depends on, fixed for a stream.

    rows, columns: query blocks of one slice. topk: the budget, in (query, key) pairs per head and slice.
    local_range: a block sees blocks at most local_range // 2 rows and columns away. block_kv: keys per block.
    """

    rows: int
    columns: int
    topk: int
    local_range: int
    block_kv: int

    @property
    def blocks(self) -> int:
        """Query blocks of a slice."""
        return self.rows * self.columns

    @property
    def key_blocks(self) -> int:
        """Key blocks of a slice."""
        return self.blocks * (QUERY_BLOCK // self.block_kv)

    def local_mask(self, device: torch.device) -> Tensor:
        """Which key blocks of one slice are near enough: bool (blocks, key_blocks)."""
        index = torch.arange(self.blocks, device=device)
        row, column = index // self.columns, index % self.columns
        reach = self.local_range // 2
        near = ((row[:, None] - row).abs() <= reach) & ((column[:, None] - column).abs() <= reach)
        return near.repeat_interleave(QUERY_BLOCK // self.block_kv, dim=1)


def block_means(x: Tensor, block: int) -> Tensor:
    """Means over blocks of tokens, summed in float32: (batch, heads, tokens, head_dim), any strides with the last 1,
    -> float32 (batch, heads, tokens / block, head_dim)."""
    if triton_runs_on(x.device):
        from flashvsr_engine.kernels import triton_selection

        return triton_selection.block_means(x, block)
    return x.unflatten(2, (-1, block)).mean(3, dtype=torch.float32)


def select_blocks(q_means: Tensor, k_means: Tensor, grid: BlockGrid, local: Tensor) -> Tensor:
    """The mask of kept pairs: bool (batch, heads, query blocks, key blocks).

    q_means (batch, heads, query blocks, head_dim), k_means (batch, heads, key blocks, head_dim): float32 means of
    whole slices in window order (`block_means`); local: `grid.local_mask`. Scores are products of block means,
    softmaxed in float32 over all keys. In each slice of queries, the pairs strictly above the (topk + 1)-th largest
    are kept: ties at the threshold are dropped, and a block of queries may keep no pair.
    """
    slices = k_means.shape[2] // grid.key_blocks
    scores = q_means @ k_means.transpose(2, 3) / q_means.shape[-1] ** 0.5
    scores = scores.unflatten(2, (-1, grid.blocks)).unflatten(4, (slices, -1))  # (b, h, slice, n, key slice, n')
    scores = scores.masked_fill(~local[:, None], float("-inf")).flatten(4).softmax(-1)
    kept = above_largest(scores.flatten(3), grid.topk)
    return kept.unflatten(3, scores.shape[3:]).flatten(2, 3)


def above_largest(x: Tensor, topk: int) -> Tensor:
    """Which values of each row, (..., n) from 0 to 1, are strictly greater than its (topk + 1)-th largest: bool.

    A row of at most topk values keeps all but those equal to its least.
    """
    topk = min(topk, x.shape[-1] - 1)
    if triton_runs_on(x.device):
        from flashvsr_engine.kernels import triton_selection

        return x > triton_selection.nth_largest(x, topk + 1)
    return x > x.kthvalue(x.shape[-1] - topk, dim=-1, keepdim=True).values
