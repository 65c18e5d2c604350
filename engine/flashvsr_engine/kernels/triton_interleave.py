"""The kernel behind `interleave`."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 4096


def interleave(first: Tensor, second: Tensor, out: Tensor, slope: float | None) -> None:
    """See `interleave.interleave`; all of one memory layout without holes, frame after frame."""
    frames = len(first)
    length = first[0].numel()
    _interleave[(triton.cdiv(length, _BLOCK), frames)](
        first, second, out, length, slope or 0.0, ACTIVE=slope is not None, BLOCK=_BLOCK, num_warps=4
    )


@triton.jit
def _interleave(first, second, out, length, slope, ACTIVE: tl.constexpr, BLOCK: tl.constexpr):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    frame, inside = tl.program_id(1).to(tl.int64), place < length
    one = tl.load(first + frame * length + place, mask=inside)
    two = tl.load(second + frame * length + place, mask=inside)
    if ACTIVE:
        one = tl.where(one > 0, one, one * slope).to(out.dtype.element_ty)
        two = tl.where(two > 0, two, two * slope).to(out.dtype.element_ty)
    tl.store(out + 2 * frame * length + place, one, mask=inside)
    tl.store(out + (2 * frame + 1) * length + place, two, mask=inside)
