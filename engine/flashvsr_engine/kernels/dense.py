"""Dense attention, for the cross-attention to the prompt."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.block_sparse import empty_output


def dense_attention(q: Tensor, k: Tensor, v: Tensor, backend: str = "torch") -> Tensor:
    """softmax(q k^T / sqrt(head_dim)) v.

    q (batch, heads, tokens, head_dim); k, v (batch, heads, keys, head_dim), any strides with the last 1. Returns q's
    shape, in memory (batch, tokens, heads, head_dim). backend: what `backends.resolve_dense` gave.
    """
    if backend == "sageattention" and not q.is_meta:
        from sageattention import sageattn

        out: Tensor = sageattn(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), tensor_layout="NHD")
        return out.transpose(1, 2)
    if q.is_meta:
        return empty_output(q)
    out = F.scaled_dot_product_attention(q, k, v)
    return out if out.transpose(1, 2).is_contiguous() else empty_output(q).copy_(out)
