"""Which blocks of keys each block of queries sees: locality-constrained, under a budget of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

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
    """Means over each `block` tokens of x (batch, heads, tokens, head_dim), float32 (batch, heads, blocks, head_dim)."""
    return x.unflatten(2, (-1, block)).mean(3, dtype=torch.float32)


def select_blocks(q_means: Tensor, k_means: Tensor, grid: BlockGrid, local: Tensor) -> Tensor:
    """The mask of kept pairs: bool (batch, heads, query blocks, key blocks).

    q_means, k_means: float32 (batch, heads, blocks, head_dim), means of whole slices' blocks in window order; local:
    `grid.local_mask`. Scores are products of means, softmaxed over all keys. In each slice of queries, the pairs
    strictly above the (topk + 1)-th largest are kept: ties at the threshold are dropped, and a block of queries may
    keep no pair.
    """
    slices = k_means.shape[2] // grid.key_blocks
    scores = q_means @ k_means.transpose(2, 3) / q_means.shape[-1] ** 0.5
    scores = scores.unflatten(2, (-1, grid.blocks)).unflatten(4, (slices, -1))  # (b, h, slice, n, key slice, n')
    scores = scores.masked_fill(~local[:, None], float("-inf")).flatten(4).softmax(-1)
    flat = scores.flatten(3)  # (b, h, slice, pairs)
    topk = min(grid.topk, flat.shape[-1] - 1)
    threshold = flat.topk(topk + 1, dim=-1).values[..., -1:]
    return (flat > threshold).unflatten(3, scores.shape[3:]).flatten(2, 3)
