"""Block-sparse attention in Triton with 8-bit products of queries and keys, as in SageAttention (arXiv 2410.02367).

Queries and keys are rounded to 8 bits with one scale for each block. Keys first lose their mean over all tokens, which
shifts every score of a query alike and so leaves the softmax as it was. Weights and values stay in 16 bits.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashvsr_engine.kernels.block_lists import BlockLists, block_lists, list_bytes
from flashvsr_engine.kernels.block_sparse import empty_output
from flashvsr_engine.kernels.selection import QUERY_BLOCK
from flashvsr_engine.kernels.triton_attention import LOG2_E, Tiling, product, tiling


class TritonInt8Attention:
    """`attend` as a kernel of `SparseAttention`, tiled for a CUDA device of this compute capability."""

    def __init__(self, block_kv: int, capability: tuple[int, int], head_dim: int) -> None:
        self._block_kv = block_kv
        self._tiling = tiling(capability, torch.float16, head_dim, block_kv)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, k_means: Tensor) -> Tensor:
        """See `dispatch.Kernel`."""
        return attend(q, k, v, block_lists(mask), self._block_kv, k_means.mean(2), self._tiling)

    def scratch_bytes(self, q: Tensor, k: Tensor) -> int:
        """See `dispatch.Kernel`: the lists, queries and keys in 8 bits, their scales, the mean key."""
        rows = q.shape[0] * q.shape[1]
        scales = rows * (q.shape[2] // QUERY_BLOCK + k.shape[2] // self._block_kv + q.shape[3])
        return list_bytes(q, k, self._block_kv) + q.numel() + k.numel() + scales * torch.float32.itemsize


def attend(q: Tensor, k: Tensor, v: Tensor, lists: BlockLists, block_kv: int, k_mean: Tensor, tiles: Tiling) -> Tensor:
    """See `triton_attention.attend`; k_mean float32 (batch, heads, head_dim): of all keys."""
    assert q.stride(3) == k.stride(3) == v.stride(3) == 1
    out = empty_output(q)
    batch, heads, tokens, head_dim = q.shape
    q8, q_scales = quantize(q, QUERY_BLOCK, torch.zeros_like(k_mean), LOG2_E / head_dim**0.5)
    k8, k_scales = quantize(k, block_kv, k_mean, 1.0)
    _attend[(tokens // tiles.queries, heads, batch)](
        q8,
        k8,
        v,
        out,
        q_scales,
        k_scales,
        *lists,
        k.shape[2],
        *v.stride()[:3],
        *out.stride()[:3],
        tokens // QUERY_BLOCK,
        lists.indices.shape[3],
        HEAD_DIM=head_dim,
        BLOCK=block_kv,
        QUERIES=tiles.queries,
        KEYS=min(tiles.keys, block_kv),
        PARTS=QUERY_BLOCK // tiles.queries,
        WIDEN=bool(triton.knobs.runtime.interpret) and q.dtype is torch.bfloat16,
        num_warps=tiles.warps,
        num_stages=tiles.stages,
    )
    return out


def quantize(x: Tensor, block: int, mean: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """(x - mean) * factor, about, as int8 (batch, heads, tokens, head_dim) times float32 (batch, heads, blocks)."""
    batch, heads, tokens, head_dim = x.shape
    rounded = torch.empty(x.shape, dtype=torch.int8, device=x.device)
    scales = torch.empty(batch, heads, tokens // block, dtype=torch.float32, device=x.device)
    _quantize[(tokens // block, heads, batch)](
        x, mean, rounded, scales, *x.stride()[:3], tokens, factor, HEAD_DIM=head_dim, BLOCK=block, num_warps=8
    )
    return rounded, scales


@triton.jit
def _quantize(x, mean, rounded, scales, x_b, x_h, x_t, tokens, factor, HEAD_DIM: tl.constexpr, BLOCK: tl.constexpr):
    block, head, batch = tl.program_id(0), tl.program_id(1).to(tl.int64), tl.program_id(2).to(tl.int64)
    row = batch * tl.num_programs(1) + head
    token = block * BLOCK + tl.arange(0, BLOCK)[:, None].to(tl.int64)
    column = tl.arange(0, HEAD_DIM)
    values = tl.load(x + batch * x_b + head * x_h + token * x_t + column[None, :]).to(tl.float32)
    values -= tl.load(mean + row * HEAD_DIM + column)[None, :]
    scale = tl.maximum(tl.max(tl.abs(values)), 1e-30) / 127
    nearest = tl.floor(values / scale + 0.5).to(tl.int8)
    tl.store(rounded + (row * tokens + token) * HEAD_DIM + column[None, :], nearest)
    tl.store(scales + row * tl.num_programs(0) + block, scale * factor)


@triton.jit
def _attend(
    q,
    k,
    v,
    out,
    q_scales,
    k_scales,
    counts,
    indices,
    order,
    keys,
    v_b,
    v_h,
    v_t,
    o_b,
    o_h,
    o_t,
    query_blocks,
    key_blocks,
    HEAD_DIM: tl.constexpr,
    BLOCK: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    PARTS: tl.constexpr,
    WIDEN: tl.constexpr,
):
    head, batch = tl.program_id(1).to(tl.int64), tl.program_id(2).to(tl.int64)
    pair = batch * tl.num_programs(1) + head
    row = pair * query_blocks
    block = tl.load(order + row + tl.program_id(0) // PARTS)
    count = tl.load(counts + row + block)
    indices += (row + block) * key_blocks
    token = block * 128 + (tl.program_id(0) % PARTS) * QUERIES + tl.arange(0, QUERIES)
    column = tl.arange(0, HEAD_DIM)
    key = tl.arange(0, KEYS)
    queries = tl.load(q + (row * 128 + token[:, None]) * HEAD_DIM + column[None, :])
    scale = tl.load(q_scales + row + block)
    k += (pair * keys + key[None, :]) * HEAD_DIM + column[:, None]
    v += batch * v_b + head * v_h + key[:, None].to(tl.int64) * v_t + column[None, :]

    highest = tl.full((QUERIES,), float("-inf"), tl.float32)
    total = tl.zeros((QUERIES,), tl.float32)
    sums = tl.zeros((QUERIES, HEAD_DIM), tl.float32)
    steps: tl.constexpr = BLOCK // KEYS
    for step in range(count * steps):
        here = tl.load(indices + step // steps)
        start = (here * BLOCK + step % steps * KEYS).to(tl.int64)
        both = scale * tl.load(k_scales + pair * key_blocks + here)
        scores = tl.dot(queries, tl.load(k + start * HEAD_DIM)).to(tl.float32)
        above = tl.maximum(highest, tl.max(scores, 1) * both)
        weights = tl.exp2(scores * both - above[:, None])
        faded = tl.exp2(highest - above)
        total = total * faded + tl.sum(weights, 1)
        values = tl.load(v + start * v_t)
        sums = product(weights.to(values.dtype), values, sums * faded[:, None], WIDEN)
        highest = above
    sums /= tl.where(total == 0, 1, total)[:, None]
    out += batch * o_b + head * o_h + token[:, None].to(tl.int64) * o_t + column[None, :]
    tl.store(out, sums.to(out.dtype.element_ty))
