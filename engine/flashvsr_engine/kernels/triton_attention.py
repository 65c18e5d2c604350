"""Block-sparse attention in Triton, for CUDA devices from compute capability 7.5; its twin is `block_sparse`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from flashvsr_engine.kernels.block_lists import BlockLists, block_lists, list_bytes
from flashvsr_engine.kernels.block_sparse import empty_output
from flashvsr_engine.kernels.packages import gluon_is_known
from flashvsr_engine.kernels.selection import QUERY_BLOCK

LOG2_E = 1.4426950408889634


@dataclass(frozen=True, slots=True)
class Tiling:
    """Queries of a program, keys of a step, warps of a program, and steps whose loads are in flight."""

    queries: int
    keys: int
    warps: int
    stages: int


def tiling(capability: tuple[int, int], dtype: torch.dtype, head_dim: int, block_kv: int) -> Tiling:
    """The tiling of an architecture: fixed, so that the first chunk costs no search and results never depend on one."""
    if dtype is torch.float32:
        return Tiling(queries=32, keys=32, warps=4, stages=1)
    if capability < (8, 0):
        return Tiling(queries=64, keys=64 if head_dim == 64 else 32, warps=4, stages=1)
    if capability == (9, 0):  # measured: bench/attention.py
        return Tiling(queries=128, keys=128, warps=8, stages=2) if block_kv == 128 else Tiling(64, 64, 4, 3)
    if capability in ((8, 0), (10, 0), (10, 3)):  # 160 KB and more of shared memory
        return Tiling(queries=128, keys=64, warps=8, stages=3)
    return Tiling(queries=64, keys=64, warps=4, stages=2)


class TritonAttention:
    """`attend` as a kernel of `SparseAttention`, tiled for a CUDA device of this compute capability."""

    def __init__(self, block_kv: int, capability: tuple[int, int], dtype: torch.dtype, head_dim: int) -> None:
        self._block_kv = block_kv
        self._tiling = tiling(capability, dtype, head_dim, block_kv)
        self._hopper = capability == (9, 0) and dtype is not torch.float32 and gluon_is_known()

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, k_means: Tensor) -> Tensor:
        """See `dispatch.Kernel`."""
        lists = block_lists(mask)
        if self._hopper:
            from flashvsr_engine.kernels import hopper

            if hopper.takes(q, k, v):
                return hopper.attend(q, k, v, lists, self._block_kv)
        return attend(q, k, v, lists, self._block_kv, self._tiling)

    def scratch_bytes(self, q: Tensor, k: Tensor) -> int:
        """See `dispatch.Kernel`: the lists."""
        return list_bytes(q, k, self._block_kv)


def attend(q: Tensor, k: Tensor, v: Tensor, lists: BlockLists, block_kv: int, tiles: Tiling) -> Tensor:
    """softmax(q k^T / sqrt(head_dim)) v over the listed blocks; zeros for a block of queries that keeps nothing.

    q (batch, heads, tokens, head_dim); k, v (batch, heads, keys, head_dim); any strides, the last 1; float16,
    bfloat16 or float32 (then exact, without TF32). Returns q's shape, memory (batch, tokens, heads, head_dim).
    """
    assert q.stride(3) == k.stride(3) == v.stride(3) == 1
    out = empty_output(q)
    batch, heads, tokens, head_dim = q.shape
    _attend[(tokens // tiles.queries, heads, batch)](
        q,
        k,
        v,
        out,
        *lists,
        *q.stride()[:3],
        *k.stride()[:3],
        *v.stride()[:3],
        *out.stride()[:3],
        tokens // QUERY_BLOCK,
        lists.indices.shape[3],
        LOG2_E / head_dim**0.5,
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


@triton.jit
def product(a, b, added, WIDEN: tl.constexpr):
    """a @ b + added in float32. WIDEN: for the interpreter, which would multiply the bits of bfloat16 as integers."""
    if WIDEN:
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, added, input_precision="ieee")


@triton.jit
def _attend(
    q,
    k,
    v,
    out,
    counts,
    indices,
    order,
    q_b,
    q_h,
    q_t,
    k_b,
    k_h,
    k_t,
    v_b,
    v_h,
    v_t,
    o_b,
    o_h,
    o_t,
    query_blocks,
    key_blocks,
    scale,
    HEAD_DIM: tl.constexpr,
    BLOCK: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    PARTS: tl.constexpr,
    WIDEN: tl.constexpr,
):
    head, batch = tl.program_id(1).to(tl.int64), tl.program_id(2).to(tl.int64)
    row = (batch * tl.num_programs(1) + head) * query_blocks
    block = tl.load(order + row + tl.program_id(0) // PARTS)
    count = tl.load(counts + row + block)
    indices += (row + block) * key_blocks
    token = block * 128 + (tl.program_id(0) % PARTS) * QUERIES + tl.arange(0, QUERIES)
    column = tl.arange(0, HEAD_DIM)
    key = tl.arange(0, KEYS)
    queries = tl.load(q + batch * q_b + head * q_h + token[:, None].to(tl.int64) * q_t + column[None, :])
    k += batch * k_b + head * k_h + key[None, :].to(tl.int64) * k_t + column[:, None]
    v += batch * v_b + head * v_h + key[:, None].to(tl.int64) * v_t + column[None, :]

    highest = tl.full((QUERIES,), float("-inf"), tl.float32)
    total = tl.zeros((QUERIES,), tl.float32)
    sums = tl.zeros((QUERIES, HEAD_DIM), tl.float32)
    steps: tl.constexpr = BLOCK // KEYS
    for step in range(count * steps):
        start = (tl.load(indices + step // steps) * BLOCK + step % steps * KEYS).to(tl.int64)
        scores = product(queries, tl.load(k + start * k_t), None, WIDEN)
        above = tl.maximum(highest, tl.max(scores, 1) * scale)  # scale > 0; in units of log2, so that exp2 serves
        weights = tl.exp2(scores * scale - above[:, None])
        faded = tl.exp2(highest - above)
        total = total * faded + tl.sum(weights, 1)
        values = tl.load(v + start * v_t)
        sums = product(weights.to(values.dtype), values, sums * faded[:, None], WIDEN)
        highest = above
    sums /= tl.where(total == 0, 1, total)[:, None]
    out += batch * o_b + head * o_h + token[:, None].to(tl.int64) * o_t + column[None, :]
    tl.store(out, sums.to(out.dtype.element_ty))
