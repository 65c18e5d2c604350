"""Block-sparse attention for compute capability 9.0 in Gluon, warp-specialised; its twin is `block_sparse`.

One warp loads blocks of keys and values by TMA; two groups of four warps compute, each for 64 of a block's 128 queries.
In a group, the scores of step i + 1 and the weighted sum of step i are in flight together, so that the softmax of
step i + 1 runs while the tensor cores work on step i (as in FlashAttention-3, arXiv 2407.08608).
"""

from __future__ import annotations

from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.hopper import (
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_wait,
)

_load_async = getattr(tma, "async_load", None) or tma.async_copy_global_to_shared
"""Its name changed between Triton 3.6 and 3.9."""


@gluon.jit
def _fetch(desc, buffer, ready, row, column, first, second, BLOCK: gl.constexpr, HEAD_DIM: gl.constexpr):
    """Load a step's keys or values: one block of 128, or two of 64."""
    mbarrier.expect(ready, 128 * HEAD_DIM * 2)
    if BLOCK == 128:
        _load_async(desc, [row + first * 128, column], ready, buffer)
    else:
        _load_async(desc, [row + first * 64, column], ready, buffer.slice(0, 64, dim=0))
        _load_async(desc, [row + second * 64, column], ready, buffer.slice(64, 64, dim=0))


@gluon.jit
def _produce(
    q_desc,
    k_desc,
    v_desc,
    queries,
    keys,
    values,
    ready,
    free,
    indices,
    count,
    q_row,
    q_column,
    k_row,
    k_column,
    v_row,
    v_column,
    HEAD_DIM: gl.constexpr,
    BLOCK: gl.constexpr,
    STAGES: gl.constexpr,
):
    """Loads the queries, then every step's keys and values as soon as a buffer is free."""
    per: gl.constexpr = 128 // BLOCK
    mbarrier.expect(ready.index(2 * STAGES), 128 * HEAD_DIM * 2)
    _load_async(q_desc, [q_row, q_column], ready.index(2 * STAGES), queries.index(0))
    _load_async(q_desc, [q_row + 64, q_column], ready.index(2 * STAGES), queries.index(1))
    first = gl.load(indices)
    second = gl.load(indices + gl.minimum(per - 1, count - 1))
    for step in range((count + per - 1) // per):
        # The next step's blocks are asked for before this one's are waited for.
        next_first = gl.load(indices + gl.minimum((step + 1) * per, count - 1))
        next_second = gl.load(indices + gl.minimum((step + 1) * per + per - 1, count - 1))
        stage, turn = step % STAGES, (step // STAGES) & 1
        mbarrier.wait(free.index(stage), turn ^ 1)
        _fetch(k_desc, keys.index(stage), ready.index(stage), k_row, k_column, first, second, BLOCK, HEAD_DIM)
        mbarrier.wait(free.index(STAGES + stage), turn ^ 1)
        _fetch(
            v_desc, values.index(stage), ready.index(STAGES + stage), v_row, v_column, first, second, BLOCK, HEAD_DIM
        )
        first, second = next_first, next_second


@gluon.jit
def _softmax(scores, highest, total, left, scale, BLOCK: gl.constexpr, layout: gl.constexpr):
    """Weights of a step and by how much earlier ones fade. left: keys that are there, where blocks are of 64."""
    if BLOCK == 64:  # noqa: SIM102 - known at compile time, the other is not
        if left < 128:
            key = gl.arange(0, 128, layout=gl.SliceLayout(0, layout))
            scores = gl.where(key[None, :] < left, scores, float("-inf"))
    above = gl.maximum(highest, gl.max(scores, 1) * scale)
    weights = gl.exp2(scores * scale - above[:, None])
    faded = gl.exp2(highest - above)
    return weights, above, total * faded + gl.sum(weights, 1), faded


@gluon.jit
def _consume(
    queries,
    keys,
    values,
    ready,
    free,
    count,
    scale,
    out,
    o_t,
    part: gl.constexpr,
    dtype: gl.constexpr,
    HEAD_DIM: gl.constexpr,
    BLOCK: gl.constexpr,
    STAGES: gl.constexpr,
):
    """Attention of 64 queries, stored at `out`."""
    layout: gl.constexpr = gl.NVMMADistributedLayout(version=[3, 0], warps_per_cta=[4, 1], instr_shape=[16, 128, 16])
    wide: gl.constexpr = gl.NVMMADistributedLayout(version=[3, 0], warps_per_cta=[4, 1], instr_shape=[16, HEAD_DIM, 16])
    left_hand: gl.constexpr = gl.DotOperandLayout(0, wide, 2)
    rows: gl.constexpr = gl.SliceLayout(1, layout)
    per: gl.constexpr = 128 // BLOCK
    own = queries.index(part)
    highest = gl.full([64], float("-inf"), gl.float32, rows)
    total = gl.full([64], 0.0, gl.float32, rows)
    sums = gl.full([64, HEAD_DIM], 0.0, gl.float32, wide)
    nothing = gl.full([64, 128], 0.0, gl.float32, layout)
    steps = (count + per - 1) // per
    mbarrier.wait(ready.index(2 * STAGES), 0)
    mbarrier.wait(ready.index(0), 0)
    scores = warpgroup_mma(own, keys.index(0).permute((1, 0)), nothing, use_acc=False, is_async=True)
    scores = warpgroup_mma_wait(0, deps=(scores,))
    mbarrier.arrive(free.index(0), count=1)
    weights, highest, total, faded = _softmax(scores, highest, total, count * BLOCK, scale, BLOCK, layout)
    narrow = gl.convert_layout(weights.to(dtype), left_hand)
    for step in range(steps - 1):
        k_stage, v_stage = (step + 1) % STAGES, step % STAGES
        mbarrier.wait(ready.index(k_stage), ((step + 1) // STAGES) & 1)
        scores = warpgroup_mma(own, keys.index(k_stage).permute((1, 0)), nothing, use_acc=False, is_async=True)
        mbarrier.wait(ready.index(STAGES + v_stage), (step // STAGES) & 1)
        sums = warpgroup_mma(narrow, values.index(v_stage), sums, is_async=True)
        scores = warpgroup_mma_wait(1, deps=(scores,))
        mbarrier.arrive(free.index(k_stage), count=1)
        left = (count - (step + 1) * per) * BLOCK
        weights, highest, total, faded = _softmax(scores, highest, total, left, scale, BLOCK, layout)
        after = weights.to(dtype)
        sums, narrow = warpgroup_mma_wait(0, deps=(sums, narrow))
        mbarrier.arrive(free.index(STAGES + v_stage), count=1)
        sums = sums * gl.convert_layout(faded, gl.SliceLayout(1, wide))[:, None]
        narrow = gl.convert_layout(after, left_hand)
    last = steps - 1
    mbarrier.wait(ready.index(STAGES + last % STAGES), (last // STAGES) & 1)
    sums = warpgroup_mma(narrow, values.index(last % STAGES), sums, is_async=True)
    sums = warpgroup_mma_wait(0, deps=(sums,))
    sums = sums / gl.convert_layout(total, gl.SliceLayout(1, wide))[:, None]
    _store(out, sums, o_t, part, dtype, HEAD_DIM, wide)


@gluon.jit
def _store(out, sums, o_t, part: gl.constexpr, dtype: gl.constexpr, HEAD_DIM: gl.constexpr, wide: gl.constexpr):
    token = part * 64 + gl.arange(0, 64, layout=gl.SliceLayout(1, wide))
    column = gl.arange(0, HEAD_DIM, layout=gl.SliceLayout(0, wide))
    gl.store(out + token[:, None].to(gl.int64) * o_t + column[None, :], sums.to(dtype))


@gluon.jit
def attend_kernel(
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
    """One program: a block of 128 queries of one head. The host's part is `hopper.attend`."""
    dtype: gl.constexpr = q_desc.dtype
    shared: gl.constexpr = gl.NVMMASharedLayout.get_default_for([128, HEAD_DIM], dtype)
    head, batch = gl.program_id(1).to(gl.int64), gl.program_id(2).to(gl.int64)
    row = (batch * gl.num_programs(1) + head) * query_blocks
    block = gl.load(order + row + gl.program_id(0))
    count = gl.load(counts + row + block)
    indices += (row + block) * key_blocks
    out += batch * o_b + head * o_h + block.to(gl.int64) * 128 * o_t
    if count > 0:
        queries = gl.allocate_shared_memory(dtype, [2, 64, HEAD_DIM], shared)
        keys = gl.allocate_shared_memory(dtype, [STAGES, 128, HEAD_DIM], shared)
        values = gl.allocate_shared_memory(dtype, [STAGES, 128, HEAD_DIM], shared)
        ready = gl.allocate_shared_memory(gl.int64, [2 * STAGES + 1, 1], mbarrier.MBarrierLayout())
        free = gl.allocate_shared_memory(gl.int64, [2 * STAGES, 1], mbarrier.MBarrierLayout())
        for i in gl.static_range(2 * STAGES + 1):
            mbarrier.init(ready.index(i), count=1)
        for i in gl.static_range(2 * STAGES):
            mbarrier.init(free.index(i), count=2)
        fence_async_shared()
        q_at, k_at, v_at = batch * q_b + head * q_h, batch * k_b + head * k_h, batch * v_b + head * v_h
        q_row, q_column = (q_at // q_t).to(gl.int32) + block * 128, (q_at % q_t).to(gl.int32)
        k_row, k_column = (k_at // k_t).to(gl.int32), (k_at % k_t).to(gl.int32)
        v_row, v_column = (v_at // v_t).to(gl.int32), (v_at % v_t).to(gl.int32)
        gl.warp_specialize(
            [
                (
                    _consume,
                    (queries, keys, values, ready, free, count, scale, out, o_t, 0, dtype, HEAD_DIM, BLOCK, STAGES),
                ),
                (
                    _consume,
                    (queries, keys, values, ready, free, count, scale, out, o_t, 1, dtype, HEAD_DIM, BLOCK, STAGES),
                ),
                (
                    _produce,
                    (
                        q_desc,
                        k_desc,
                        v_desc,
                        queries,
                        keys,
                        values,
                        ready,
                        free,
                        indices,
                        count,
                        q_row,
                        q_column,
                        k_row,
                        k_column,
                        v_row,
                        v_column,
                        HEAD_DIM,
                        BLOCK,
                        STAGES,
                    ),
                ),
            ],
            [4, 1],
            [240, 24],
        )
    else:
        wide: gl.constexpr = gl.NVMMADistributedLayout(
            version=[3, 0], warps_per_cta=[4, 1], instr_shape=[16, HEAD_DIM, 16]
        )
        nothing = gl.full([64, HEAD_DIM], 0.0, gl.float32, wide)
        _store(out, nothing, o_t, 0, dtype, HEAD_DIM, wide)
        _store(out, nothing, o_t, 1, dtype, HEAD_DIM, wide)
