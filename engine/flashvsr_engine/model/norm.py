"""The two normalisations of the network, computed in float32 whatever the input's type."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-6


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last axis."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Any leading axes; returns the input's type."""
        return F.rms_norm(x.float(), x.shape[-1:], self.weight.float(), EPS).to(x.dtype)


class ChannelNorm(nn.Module):
    """x / ||x||_2 * sqrt(C) * gamma over axis 1 of (batch, C, frames, height, width)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the input's type."""
        scale = x.shape[1] ** 0.5
        return (F.normalize(x.float(), dim=1) * (scale * self.gamma.float())).to(x.dtype)


def modulated_norm(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LayerNorm(x) * (1 + scale) + shift, without affine weights; shift and scale are float32 (..., 1, dim)."""
    normed = F.layer_norm(x.float(), x.shape[-1:], eps=EPS)
    return torch.addcmul(shift, normed, 1 + scale).to(x.dtype)


def gated_residual(x: Tensor, y: Tensor, gate: Tensor) -> Tensor:
    """x + gate * y; gate is float32 (..., 1, dim)."""
    return x + (gate * y).to(x.dtype)
