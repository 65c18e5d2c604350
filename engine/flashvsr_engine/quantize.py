"""8-bit integers with a scale: the one lossy way in which a stream's keys and values may be kept."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST = 127


def quantized(x: Tensor) -> tuple[Tensor, Tensor]:
    """Integers int8 of x's shape and scales float32 (..., 1), one for each last axis: x is about integers * scale."""
    scale = x.abs().amax(dim=-1, keepdim=True).float().clamp_(min=torch.finfo(torch.float32).tiny).div_(LARGEST)
    return (x / scale).round_().to(torch.int8), scale


def dequantize(integers: Tensor, scale: Tensor, out: Tensor) -> None:
    """Write integers * scale into `out`, of any floating type."""
    torch.mul(integers, scale, out=out)
