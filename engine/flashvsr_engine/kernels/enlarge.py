"""Bicubic enlargement of input frames, padded by reflection."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.fused import fused

Size = tuple[int, int]


def enlarge(frames: Tensor, size: Size, padded: Size) -> Tensor:
    """Integers (T, h, w, 3) -> float32 (1, 3, T, H, W) in [-1, 1]: bicubic (a = -0.5) to `size`, reflected to `padded`.

    They are uint8, or uint16 of full scale. Both sizes are (height, width); size is at least that of the frames. The
    kernel's weights are the twin's up to float32.
    """
    if not fused(frames):
        return enlarge_reference(frames, size, padded)
    out = torch.empty(1, 3, len(frames), *padded, device=frames.device)
    if not frames.is_meta:
        from flashvsr_engine.kernels import triton_enlarge

        triton_enlarge.enlarge(frames, size, out)
    return out


def enlarge_reference(frames: Tensor, size: Size, padded: Size) -> Tensor:
    """The twin of `enlarge`.

    The antialiased mode is asked for because it is the one with a = -0.5, as PIL has it; when enlarging, it filters
    nothing else.
    """
    x = frames.permute(0, 3, 1, 2).float().div_(torch.iinfo(frames.dtype).max)
    x = F.interpolate(x, size=size, mode="bicubic", antialias=True).clamp_(0, 1).mul_(2).sub_(1)
    for axis, length in enumerate(padded, start=2):
        if length > x.shape[axis]:
            x = x.index_select(axis, _reflected(x.shape[axis], length, x.device))
    return x.transpose(0, 1)[None]


def _reflected(size: int, padded: int, device: torch.device) -> Tensor:
    """Indices that continue an axis by reflection, back and forth where the padding is longer than the axis.

    Reflection looks like picture to the network. Replication does not: its streaks made a network that was trained
    on pictures alone answer with stripes, in the padding and beside it.
    """
    index = torch.arange(padded, device=device) % (2 * size - 2)
    return torch.where(index < size, index, 2 * size - 2 - index)
