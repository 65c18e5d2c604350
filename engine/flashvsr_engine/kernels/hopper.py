"""Block-sparse attention for compute capability 9.0: how views are handed to the kernel of `hopper_kernel`."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor

from flashvsr_engine.kernels.block_lists import BlockLists
from flashvsr_engine.kernels.block_sparse import empty_output
from flashvsr_engine.kernels.hopper_kernel import attend_kernel
from flashvsr_engine.kernels.selection import QUERY_BLOCK
from flashvsr_engine.kernels.triton_attention import LOG2_E

_STAGES = 2
"""Steps whose keys and values are in shared memory: 160 KB of a processor's 227 for heads of 128."""
_GROUP_QUERIES = QUERY_BLOCK // 2
_ALIGNMENT = 16  # bytes, of what TMA reads


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
    attend_kernel[(tokens // QUERY_BLOCK, heads, batch)](
        _descriptor(q, _GROUP_QUERIES),
        _descriptor(k, block_kv),
        _descriptor(v, block_kv),
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
        num_warps=4,
    )
    return out
