"""Block-sparse attention by torch's FlexAttention, compiled by Inductor, on CUDA and on CPUs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from flashvsr_engine.kernels.block_lists import BlockLists, block_lists, list_bytes
from flashvsr_engine.kernels.block_sparse import empty_output
from flashvsr_engine.kernels.selection import QUERY_BLOCK


def compiled() -> Callable[..., Any]:
    """FlexAttention compiled for tensors of any length, so that a stream's chunks share one kernel."""
    return torch.compile(flex_attention, dynamic=True)


def attend(q: Tensor, k: Tensor, v: Tensor, lists: BlockLists, block_kv: int, flex: Callable[..., Any]) -> Tensor:
    """See `triton_attention.attend`; flex: of `compiled`."""
    # No block is partial: those listed are kept whole, so no mask is evaluated within them. The empty lists are
    # tensors of their own, since Inductor's C++ template does not compile when the two kinds share one.
    none = (torch.zeros_like(lists.counts), torch.zeros_like(lists.indices))
    mask = BlockMask.from_kv_blocks(
        *none,
        full_kv_num_blocks=lists.counts,
        full_kv_indices=lists.indices,
        BLOCK_SIZE=(QUERY_BLOCK, block_kv),
        seq_lengths=(q.shape[2], k.shape[2]),
        compute_q_blocks=False,
    )
    # On CUDA the template takes steps of 128 keys unless told otherwise, which blocks of 64 do not allow.
    options = {"BLOCK_M": block_kv, "BLOCK_N": block_kv} if q.is_cuda and block_kv < QUERY_BLOCK else None
    found: Tensor = flex(q, k, v, block_mask=mask, kernel_options=options)
    if found.transpose(1, 2).is_contiguous():
        return found
    return empty_output(q).copy_(found)


class FlexAttention:
    """`attend` as a kernel of `SparseAttention`, compiled at its first use."""

    def __init__(self, block_kv: int) -> None:
        self._block_kv = block_kv
        self._flex = compiled()

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, k_means: Tensor) -> Tensor:
        """See `dispatch.Kernel`."""
        return attend(q, k, v, block_lists(mask), self._block_kv, self._flex)

    def scratch_bytes(self, q: Tensor, k: Tensor) -> int:
        """See `dispatch.Kernel`: the lists, made of int64 ones on a CPU, and the output in its first layout."""
        return 5 * list_bytes(q, k, self._block_kv) + q.nbytes
