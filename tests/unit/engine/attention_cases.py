"""What every test of attention needs: random tensors as the model passes them, and the definition."""

from __future__ import annotations

import torch
from torch import Tensor


def plain_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, block_kv: int) -> Tensor:
    """The definition, in float64, pair by pair of tokens."""
    pairs = mask.repeat_interleave(128, 2).repeat_interleave(block_kv, 3)
    scores = q.double() @ k.double().transpose(2, 3) / q.shape[-1] ** 0.5
    weights = scores.masked_fill(~pairs, float("-inf")).softmax(-1).nan_to_num(0)
    out: Tensor = (weights @ v.double()).float()
    return out


def random_qkv(
    batch: int, heads: int, queries: int, keys: int, head_dim: int = 16, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """Views (batch, heads, tokens, head_dim) of (batch, tokens, heads, head_dim); keys are part of a longer ring."""
    torch.manual_seed(queries + keys + head_dim)
    q = torch.randn(batch, queries, heads, head_dim).to(dtype).transpose(1, 2)
    ring = torch.randn(2, batch, keys + 128, heads, head_dim).to(dtype)[:, :, :keys]
    return [q, ring[0].transpose(1, 2), ring[1].transpose(1, 2)]


def random_mask(batch: int, heads: int, query_blocks: int, key_blocks: int, kept: float) -> Tensor:
    """Another mask for each sample and head; one row without keys, one with a single block."""
    mask = torch.rand(batch, heads, query_blocks, key_blocks) < kept
    mask[-1, -1, -1] = False
    mask[0, 0, 0] = False
    mask[0, 0, 0, 1] = True
    return mask


def joined(out: Tensor) -> bool:
    """Whether the model can join heads by a view."""
    return out.transpose(1, 2).is_contiguous()
