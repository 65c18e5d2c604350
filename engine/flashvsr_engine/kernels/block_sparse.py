"""Block-sparse attention in plain torch, for any device: the reference that every faster kernel must equal."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.selection import QUERY_BLOCK

GATHER_BYTES = 64 << 20
"""Gathered keys and values are handled in parts of about this size, so that a large picture stays in memory."""


def empty_output(q: Tensor) -> Tensor:
    """(batch, heads, tokens, head_dim) like q, whose memory is in the order (batch, tokens, heads, head_dim)."""
    batch, heads, tokens, head_dim = q.shape
    return q.new_empty(batch, tokens, heads, head_dim).transpose(1, 2)


def block_sparse_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, block_kv: int) -> Tensor:
    """softmax(q k^T / sqrt(head_dim)) v over the blocks of keys that each block of queries keeps.

    q (batch, heads, tokens, head_dim); k, v (batch, heads, keys, head_dim); any strides; mask bool (batch, heads,
    tokens / 128, keys / block_kv). A block of queries that keeps nothing gets zeros. Returns q's shape and type, in
    memory (batch, tokens, heads, head_dim).
    """
    out = empty_output(q)
    if bool(mask.all()):
        return out.copy_(F.scaled_dot_product_attention(q, k, v))
    queries, found = (x.unflatten(2, (-1, QUERY_BLOCK)) for x in (q, out))
    keys, values = (x.unflatten(2, (-1, block_kv)) for x in (k, v))
    counts = mask.sum(-1)
    for count in counts.unique().tolist():
        rows = (counts == count).nonzero()
        if count:
            _attend_rows(found, queries, keys, values, mask, rows, count)
        else:
            found[tuple(rows.T)] = 0
    return out


def _attend_rows(out: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, rows: Tensor, count: int) -> None:
    """Attention of query blocks, all of which keep `count` key blocks; written into `out`.

    q, k, v, out: (batch, heads, blocks, tokens of a block, head_dim); rows (n, 3): batch, head, query block.
    """
    kept = mask[tuple(rows.T)].nonzero()[:, 1].view(-1, count)
    step = max(1, GATHER_BYTES // (2 * count * k[0, 0, 0].nbytes))
    for part in range(0, len(rows), step):
        batch, head, block = rows[part : part + step].T
        keys, values = (x[batch[:, None], head[:, None], kept[part : part + step]].flatten(1, 2) for x in (k, v))
        out[batch, head, block] = F.scaled_dot_product_attention(q[batch, head, block], keys, values)


class TorchAttention:
    """`block_sparse_attention` as a kernel of `SparseAttention`."""

    def __init__(self, block_kv: int) -> None:
        self._block_kv = block_kv

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, k_means: Tensor) -> Tensor:
        """See `dispatch.Kernel`."""
        return block_sparse_attention(q, k, v, mask, self._block_kv)

    def scratch_bytes(self, q: Tensor, k: Tensor) -> int:
        """See `dispatch.Kernel`: gathered keys and values, of one row at least, and the queries of those rows."""
        rows = q.shape[0] * q.shape[1] * (q.shape[2] // QUERY_BLOCK)
        row = 2 * k.nbytes // (k.shape[0] * k.shape[1])
        return min(max(GATHER_BYTES, row), rows * row) + 2 * q.nbytes
