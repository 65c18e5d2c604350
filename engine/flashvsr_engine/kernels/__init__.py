"""Block-sparse attention and its masks."""

from flashvsr_engine.kernels.block_sparse import block_sparse_attention
from flashvsr_engine.kernels.dispatch import SparseAttention
from flashvsr_engine.kernels.selection import BlockGrid, select_blocks

__all__ = ["BlockGrid", "SparseAttention", "block_sparse_attention", "select_blocks"]
