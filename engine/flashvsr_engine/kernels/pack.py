"""Output frames: an affine map of each frame's colours, then bytes."""

from __future__ import annotations

import torch
from torch import Tensor

from flashvsr_engine.kernels.fused import fused


def pack(y: Tensor, factor: Tensor, offset: Tensor, height: int, width: int) -> Tensor:
    """factor * y + offset, cut to [-1, 1], as bytes: (frames, 3, H, W) -> uint8 (frames, height, width, 3).

    y: of any floating type; rows and columns beyond height and width are padding. factor, offset: float32 (frames, 3).
    Equal to the twin but for one step of a byte where float32 rounds the sum otherwise.
    """
    if not fused(y):
        return pack_reference(y, factor, offset, height, width)
    packed = torch.empty(y.shape[0], height, width, 3, dtype=torch.uint8, device=y.device)
    if not y.is_meta:
        from flashvsr_engine.kernels import triton_pack

        triton_pack.pack(y, factor, offset, packed)
    return packed


def pack_reference(y: Tensor, factor: Tensor, offset: Tensor, height: int, width: int) -> Tensor:
    """The twin of `pack`."""
    mapped = y[..., :height, :width].float() * factor[..., None, None] + offset[..., None, None]
    return mapped.clamp_(-1, 1).add_(1).mul_(127.5).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
