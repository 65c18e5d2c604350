"""One seam between the model and the kernels: select blocks, then attend to them."""

from __future__ import annotations

import torch
from torch import Tensor

from flashvsr_engine.kernels.block_sparse import block_sparse_attention
from flashvsr_engine.kernels.selection import BlockGrid, select_blocks


class SparseAttention:
    """The attention of one stream: its grid, with the local mask built once on the stream's device."""

    def __init__(self, grid: BlockGrid, device: torch.device) -> None:
        self.grid = grid
        self._local = grid.local_mask(device)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `block_sparse_attention`."""
        return block_sparse_attention(q, k, v, self.select(q, k), self.grid.block_kv)

    def select(self, q: Tensor, k: Tensor) -> Tensor:
        """See `select_blocks`."""
        return select_blocks(q, k, self.grid, self._local)
