"""Block-sparse attention for compute capability 9.0 in Gluon: TMA loads, asynchronous WGMMA; twin: `block_sparse`.

The scores of step i + 1 and the weighted sum of step i are in flight together, so the softmax of step i + 1 runs
while the tensor cores work on step i.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor

from flashvsr_engine.kernels.block_lists import BlockLists
from flashvsr_engine.kernels.block_sparse import empty_output
from flashvsr_engine.kernels.selection import QUERY_BLOCK

LOG2_E = 1.4426950408889634
_STEP = 128
_STAGES = 2
_ALIGNMENT = 16

# Gluon's names changed between Triton 3.6 and 3.9.
_load_async = getattr(tma, "async_load", None) or tma.async_copy_global_to_shared
_barrier = getattr(gl, "barrier", None) or gl.thread_barrier


class _Rows(NamedTuple):
    """A (batch, heads, tokens, head_dim) view as a matrix: token t of a head is row first + t, from column on."""

    rows: int
    columns: int


def _as_rows(x: Tensor) -> _Rows | None:
    """The matrix, of row stride x.stride(2), that holds the view; None where a head would wrap around a row."""
    batch, heads, tokens, head_dim = x.shape
    over_batch, over_heads, row = x.stride()[:3]
    first, column = 0, 0
    for size, stride in ((batch, over_batch), (heads, over_heads)):
        first += (size - 1) * stride // row
        column += (size - 1) * stride % row if stride < row else 0
        if size > 1 and stride >= row and stride % row:
            return None
    return _Rows(first + tokens, column + head_dim) if column + head_dim <= row else None


def takes(*tensors: Tensor) -> bool:
    """Whether TMA can read these (batch, heads, tokens, head_dim) views as they lie."""
    return all(
        x.stride(3) == 1
        and x.data_ptr() % _ALIGNMENT == 0
        and x.stride(2) * x.itemsize % _ALIGNMENT == 0
        and _as_rows(x) is not None
        for x in tensors
    )


def _descriptor(x: Tensor, tokens: int) -> TensorDescriptor:
    matrix = _as_rows(x)
    assert matrix is not None, "asked `takes` first"
    block = [tokens, x.shape[3]]
    layout = gl.NVMMASharedLayout.get_default_for(block, gl.float16)  # of any 16-bit type
    return TensorDescriptor(x, list(matrix), [x.stride(2), 1], block, layout)


def attend(q: Tensor, k: Tensor, v: Tensor, lists: BlockLists, block_kv: int) -> Tensor:
    """See `triton_attention.attend`; float16 or bfloat16, of views that `takes` accepts."""
    out = empty_output(q)
    batch, heads, tokens, head_dim = q.shape
    load = min(block_kv, _STEP)
    _attend[(tokens // QUERY_BLOCK, heads, batch)](
        _descriptor(q, QUERY_BLOCK),
        _descriptor(k, load),
        _descriptor(v, load),
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
        STAGES=_STAGES,
        num_warps=8,
    )
    return out


@gluon.jit
def _fetch(desc, buffer, ready, row, column, first, second, BLOCK: gl.constexpr, HEAD_DIM: gl.constexpr):  # type: ignore[no-untyped-def]
    """Load a step's keys or values: one block of 128, or two of 64 (the second again the first, where it lacks)."""
    mbarrier.expect(ready, 128 * HEAD_DIM * 2)
    if BLOCK == 128:
        _load_async(desc, [row + first * 128, column], ready, buffer)
    else:
        _load_async(desc, [row + first * 64, column], ready, buffer.slice(0, 64, dim=0))
        _load_async(desc, [row + second * 64, column], ready, buffer.slice(64, 64, dim=0))


@gluon.jit
def _softmax(scores, highest, total, left, scale, BLOCK: gl.constexpr, layout: gl.constexpr):  # type: ignore[no-untyped-def]
    """Weights of a step and by how much earlier ones fade. left: keys that are there, where blocks are of 64."""
    if BLOCK == 64:
        key = gl.arange(0, 128, layout=gl.SliceLayout(0, layout))
        scores = gl.where(key[None, :] < left, scores, float("-inf"))
    above = gl.maximum(highest, gl.max(scores, 1) * scale)
    weights = gl.exp2(scores * scale - above[:, None])
    faded = gl.exp2(highest - above)
    return weights, above, total * faded + gl.sum(weights, 1), faded


@gluon.jit
def _attend(  # type: ignore[no-untyped-def]
    q_desc,
    k_desc,
    v_desc,
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
    HEAD_DIM: gl.constexpr,
    BLOCK: gl.constexpr,
    STAGES: gl.constexpr,
):
    dtype: gl.constexpr = q_desc.dtype
    layout: gl.constexpr = gl.NVMMADistributedLayout(version=[3, 0], warps_per_cta=[8, 1], instr_shape=[16, 128, 16])
    wide: gl.constexpr = gl.NVMMADistributedLayout(version=[3, 0], warps_per_cta=[8, 1], instr_shape=[16, HEAD_DIM, 16])
    left_hand: gl.constexpr = gl.DotOperandLayout(0, wide, 2)
    rows: gl.constexpr = gl.SliceLayout(1, layout)
    shared: gl.constexpr = gl.NVMMASharedLayout.get_default_for([128, HEAD_DIM], dtype)
    per: gl.constexpr = 128 // BLOCK

    head, batch = gl.program_id(1).to(gl.int64), gl.program_id(2).to(gl.int64)
    row = (batch * gl.num_programs(1) + head) * query_blocks
    block = gl.load(order + row + gl.program_id(0))
    count = gl.load(counts + row + block)
    indices += (row + block) * key_blocks
    steps = (count + per - 1) // per

    queries = gl.allocate_shared_memory(dtype, [128, HEAD_DIM], shared)
    keys = gl.allocate_shared_memory(dtype, [STAGES, 128, HEAD_DIM], shared)
    values = gl.allocate_shared_memory(dtype, [STAGES, 128, HEAD_DIM], shared)
    ready = gl.allocate_shared_memory(gl.int64, [2 * STAGES + 1, 1], mbarrier.MBarrierLayout())
    for i in gl.static_range(2 * STAGES + 1):
        mbarrier.init(ready.index(i), count=1)
    fence_async_shared()
    _barrier()

    q_at, k_at, v_at = batch * q_b + head * q_h, batch * k_b + head * k_h, batch * v_b + head * v_h
    q_row, q_column = (q_at // q_t).to(gl.int32), (q_at % q_t).to(gl.int32)
    k_row, k_column = (k_at // k_t).to(gl.int32), (k_at % k_t).to(gl.int32)
    v_row, v_column = (v_at // v_t).to(gl.int32), (v_at % v_t).to(gl.int32)

    highest = gl.full([128], float("-inf"), gl.float32, rows)
    total = gl.full([128], 0.0, gl.float32, rows)
    sums = gl.full([128, HEAD_DIM], 0.0, gl.float32, wide)
    nothing = gl.full([128, 128], 0.0, gl.float32, layout)
    if steps > 0:
        mbarrier.expect(ready.index(2 * STAGES), 128 * HEAD_DIM * 2)
        _load_async(q_desc, [q_row + block * 128, q_column], ready.index(2 * STAGES), queries)
        for i in gl.static_range(STAGES):
            if i < steps:
                first = gl.load(indices + i * per)
                second = gl.load(indices + gl.minimum(i * per + per - 1, count - 1))
                _fetch(k_desc, keys.index(i), ready.index(i), k_row, k_column, first, second, BLOCK, HEAD_DIM)
                _fetch(v_desc, values.index(i), ready.index(STAGES + i), v_row, v_column, first, second, BLOCK, HEAD_DIM)
        mbarrier.wait(ready.index(2 * STAGES), 0)
        mbarrier.wait(ready.index(0), 0)
        scores = warpgroup_mma(queries, keys.index(0).permute((1, 0)), nothing, use_acc=False, is_async=True)
        scores = warpgroup_mma_wait(0, deps=(scores,))
        weights, highest, total, faded = _softmax(scores, highest, total, count * BLOCK, scale, BLOCK, layout)
        narrow = gl.convert_layout(weights.to(dtype), left_hand)
        if STAGES < steps:
            # Keys of the first step are read: their buffer takes those of step STAGES, and so on, one step ahead.
            first = gl.load(indices + STAGES * per)
            second = gl.load(indices + gl.minimum(STAGES * per + per - 1, count - 1))
            _barrier()
            _fetch(k_desc, keys.index(0), ready.index(0), k_row, k_column, first, second, BLOCK, HEAD_DIM)
        for step in range(steps - 1):
            ahead = step + STAGES
            v_first = gl.load(indices + gl.minimum(ahead * per, count - 1))
            v_second = gl.load(indices + gl.minimum(ahead * per + per - 1, count - 1))
            k_first = gl.load(indices + gl.minimum((ahead + 1) * per, count - 1))
            k_second = gl.load(indices + gl.minimum((ahead + 1) * per + per - 1, count - 1))
            k_stage, v_stage = (step + 1) % STAGES, step % STAGES
            mbarrier.wait(ready.index(k_stage), ((step + 1) // STAGES) & 1)
            scores = warpgroup_mma(queries, keys.index(k_stage).permute((1, 0)), nothing, use_acc=False, is_async=True)
            mbarrier.wait(ready.index(STAGES + v_stage), (step // STAGES) & 1)
            sums = warpgroup_mma(narrow, values.index(v_stage), sums, is_async=True)
            scores = warpgroup_mma_wait(1, deps=(scores,))
            left = (count - (step + 1) * per) * BLOCK
            weights, highest, total, faded = _softmax(scores, highest, total, left, scale, BLOCK, layout)
            after = weights.to(dtype)
            sums, narrow = warpgroup_mma_wait(0, deps=(sums, narrow))
            _barrier()  # every warp is done with these keys and values
            if ahead + 1 < steps:
                _fetch(k_desc, keys.index(k_stage), ready.index(k_stage), k_row, k_column, k_first, k_second, BLOCK, HEAD_DIM)
            if ahead < steps:
                _fetch(v_desc, values.index(v_stage), ready.index(STAGES + v_stage), v_row, v_column, v_first, v_second, BLOCK, HEAD_DIM)
            sums = sums * gl.convert_layout(faded, gl.SliceLayout(1, wide))[:, None]
            narrow = gl.convert_layout(after, left_hand)
        last = steps - 1
        mbarrier.wait(ready.index(STAGES + last % STAGES), (last // STAGES) & 1)
        sums = warpgroup_mma(narrow, values.index(last % STAGES), sums, is_async=True)
        sums = warpgroup_mma_wait(0, deps=(sums,))
        sums = sums / gl.convert_layout(total, gl.SliceLayout(1, wide))[:, None]
    for i in gl.static_range(2 * STAGES + 1):
        mbarrier.invalidate(ready.index(i))
    token = block * 128 + gl.arange(0, 128, layout=gl.SliceLayout(1, wide))
    column = gl.arange(0, HEAD_DIM, layout=gl.SliceLayout(0, wide))
    out += batch * o_b + head * o_h
    gl.store(out + token[:, None].to(gl.int64) * o_t + column[None, :], sums.to(dtype))
