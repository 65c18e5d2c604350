"""One seam between the model and the kernels: select blocks, then attend to them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from flashvsr_engine.kernels.backends import Backend, CrossBackend, resolve, resolve_dense
from flashvsr_engine.kernels.block_sparse import TorchAttention, empty_output
from flashvsr_engine.kernels.dense import dense_attention
from flashvsr_engine.kernels.selection import QUERY_BLOCK, BlockGrid, block_means, select_blocks


class Kernel(Protocol):
    """One implementation of block-sparse attention."""

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, k_means: Tensor) -> Tensor:
        """See `block_sparse.block_sparse_attention`; k_means: float32 means of the key blocks."""

    def scratch_bytes(self, q: Tensor, k: Tensor) -> int:
        """Bytes that `attend` allocates beside its output, at most."""


class SparseAttention:
    """The attention of one stream: its grid, its kernels, and the local mask.

    backend, cross_backend: the names of those in use, for self-attention and for `cross`. Several of different
    backends may live in one process.
    """

    def __init__(
        self,
        grid: BlockGrid,
        device: torch.device,
        backend: Backend = "auto",
        dtype: torch.dtype = torch.float32,
        head_dim: int = 128,
        cross_backend: CrossBackend = "auto",
    ) -> None:
        self.grid = grid
        self.backend = resolve(backend, device, dtype, head_dim)
        self.cross_backend = resolve_dense(cross_backend, device, dtype, head_dim)
        self._local: Tensor | None = None
        self._kernel = _kernel(self.backend, grid.block_kv, device, dtype, head_dim)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, k_means: Tensor | None) -> Tensor:
        """Attention over the blocks that `select` keeps.

        q (batch, heads, tokens, head_dim); k, v (batch, heads, keys, head_dim): whole slices in window order, any
        strides with the last 1; k_means float32 (batch, heads, key blocks, head_dim), of `block_means`. Returns q's
        shape, in memory (batch, tokens, heads, head_dim). Meta tensors are planned: the same bytes are allocated.
        """
        assert k_means is not None
        mask = self.select(q, k_means)
        if q.is_meta:
            return self._planned(q, k)
        return self._kernel.attend(q, k, v, mask, k_means)

    def cross(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Dense attention, to the prompt; see `dense_attention`."""
        return dense_attention(q, k, v, self.cross_backend)

    def means(self, k: Tensor) -> Tensor:
        """Means of the key blocks of k, (batch, heads, keys, head_dim); see `block_means`."""
        return block_means(k, self.grid.block_kv)

    def select(self, q: Tensor, k_means: Tensor) -> Tensor:
        """The mask of kept blocks; see `select_blocks`."""
        return select_blocks(block_means(q, QUERY_BLOCK), k_means, self.grid, self._local_mask(q))

    def _local_mask(self, q: Tensor) -> Tensor:
        """Built when it is first needed: a plan allocates nothing."""
        if q.is_meta:
            return self.grid.local_mask(q.device)
        if self._local is None:
            self._local = self.grid.local_mask(q.device)
        return self._local

    def _planned(self, q: Tensor, k: Tensor) -> Tensor:
        """Kernels do not run on meta tensors and what they read off the mask is unknown there: their bytes instead."""
        scratch = torch.empty(self._kernel.scratch_bytes(q, k), dtype=torch.uint8, device=q.device)
        out = empty_output(q)
        del scratch
        return out


def _kernel(name: str, block_kv: int, device: torch.device, dtype: torch.dtype, head_dim: int) -> Kernel:
    """Kernels are imported when they are used: not every machine has their packages."""
    if name == "torch":
        return TorchAttention(block_kv)
    if name == "flex":
        from flashvsr_engine.kernels.flex import FlexAttention

        return FlexAttention(block_kv)
    capability = torch.cuda.get_device_capability(device)
    if name == "triton-int8":
        from flashvsr_engine.kernels.triton_int8 import TritonInt8Attention

        return TritonInt8Attention(block_kv, capability, head_dim)
    assert name == "triton", f"no kernel for the backend {name}"
    from flashvsr_engine.kernels.triton_attention import TritonAttention

    return TritonAttention(block_kv, capability, dtype, head_dim)
