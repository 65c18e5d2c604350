"""Dense attention, for the cross-attention to the prompt."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.backends import CrossBackend, resolve_dense
from flashvsr_engine.kernels.block_sparse import empty_output


def dense_attention(q: Tensor, k: Tensor, v: Tensor, backend: CrossBackend = "auto") -> Tensor:
    """softmax(q k^T / sqrt(head_dim)) v.

    q (batch, heads, tokens, head_dim); k, v (batch, heads, keys, head_dim), any strides with the last 1. Returns q's
    shape, in memory (batch, tokens, heads, head_dim). ConfigError if the backend is not available for these.
    """
    if not q.is_meta and resolve_dense(backend, q.device, q.dtype, q.shape[3]) == "sageattention":
        from sageattention import sageattn

        out: Tensor = sageattn(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), tensor_layout="NHD")
        return out.transpose(1, 2)
    out = F.scaled_dot_product_attention(q, k, v)
    return out if out.transpose(1, 2).is_contiguous() else empty_output(q).copy_(out)
