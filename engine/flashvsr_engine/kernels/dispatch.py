"""One seam between the model and the kernels: select blocks, then attend to them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.block_sparse import block_sparse_attention
from flashvsr_engine.kernels.selection import QUERY_BLOCK, BlockGrid, block_means, select_blocks


class SparseAttention:
    """The attention of one stream: its grid, with the local mask built once on the stream's device."""

    def __init__(self, grid: BlockGrid, device: torch.device) -> None:
        self.grid = grid
        self._local = grid.local_mask(device)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, k_means: Tensor | None) -> Tensor:
        """See `block_sparse_attention`."""
        if q.is_meta:
            return torch.empty_like(q)
        assert k_means is not None
        return block_sparse_attention(q, k, v, self.select(q, k_means), self.grid.block_kv)

    def select(self, q: Tensor, k_means: Tensor) -> Tensor:
        """See `select_blocks`."""
        return select_blocks(block_means(q, QUERY_BLOCK), k_means, self.grid, self._local)


def dense_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(head_dim)) v, all (batch, heads, tokens, head_dim)."""
    return torch.empty_like(q) if q.is_meta else F.scaled_dot_product_attention(q, k, v)
