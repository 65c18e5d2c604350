"""Block-sparse attention and its masks."""

from flashvsr_engine.kernels.block_sparse import block_sparse_attention
from flashvsr_engine.kernels.dispatch import SparseAttention, dense_attention
from flashvsr_engine.kernels.selection import BlockGrid, block_means, select_blocks

__all__ = [
    "BlockGrid",
    "SparseAttention",
    "block_means",
    "block_sparse_attention",
    "dense_attention",
    "select_blocks",
]
