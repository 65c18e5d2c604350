"""Block-sparse attention in plain torch, for any device: the reference that every faster kernel must equal."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.selection import QUERY_BLOCK

GATHER_BYTES = 64 << 20
"""Gathered keys and values are handled in parts of about this size, so that a large picture stays in memory."""


def block_sparse_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, block_kv: int) -> Tensor:
    """softmax(q k^T / sqrt(head_dim)) v over the blocks of keys that each block of queries keeps.

    q (batch, heads, tokens, head_dim); k, v (batch, heads, keys, head_dim); mask bool (batch, heads, tokens / 128,
    keys / block_kv). A block of queries that keeps nothing gets zeros. Returns q's shape and type.
    """
    if bool(mask.all()):
        return F.scaled_dot_product_attention(q, k, v)
    query_blocks = q.unflatten(2, (-1, QUERY_BLOCK)).flatten(0, 2)
    rows = mask.flatten(0, 2)
    counts = rows.sum(-1)
    out = torch.zeros_like(query_blocks)
    for count in counts.unique().tolist():
        if count:
            same = (counts == count).nonzero().squeeze(1)
            _attend_rows(out, query_blocks, _key_blocks(k, block_kv), _key_blocks(v, block_kv), rows, same, count)
    return out.unflatten(0, mask.shape[:3]).flatten(2, 3)


def _key_blocks(x: Tensor, block: int) -> Tensor:
    """(batch, heads, keys, head_dim) -> (batch * heads, key blocks, block, head_dim)."""
    return x.flatten(0, 1).unflatten(1, (-1, block))


def _attend_rows(out: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, rows: Tensor, count: int) -> None:
    """Attention of the query blocks `rows`, all of which keep `count` key blocks; written into `out`."""
    head = torch.div(rows, mask.shape[0] // k.shape[0], rounding_mode="floor")
    kept = mask[rows].nonzero()[:, 1].view(-1, count)
    step = max(1, GATHER_BYTES // (2 * count * k[0, 0].nbytes))
    for part in range(0, len(rows), step):
        here = slice(part, part + step)
        keys, values = (x[head[here, None], kept[here]].flatten(1, 2) for x in (k, v))
        out[rows[here]] = F.scaled_dot_product_attention(q[rows[here]], keys, values)
