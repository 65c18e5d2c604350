"""Block-sparse attention and its masks."""

from flashvsr_engine.kernels.backends import Availability, Backend, CrossBackend, availability, resolve, resolve_dense
from flashvsr_engine.kernels.block_sparse import block_sparse_attention
from flashvsr_engine.kernels.dense import dense_attention
from flashvsr_engine.kernels.dispatch import SparseAttention
from flashvsr_engine.kernels.selection import BlockGrid, block_means, select_blocks

__all__ = [
    "Availability",
    "Backend",
    "BlockGrid",
    "CrossBackend",
    "SparseAttention",
    "availability",
    "block_means",
    "block_sparse_attention",
    "dense_attention",
    "resolve",
    "resolve_dense",
    "select_blocks",
]
