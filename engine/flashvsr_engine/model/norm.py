"""The two normalisations of the network, computed in float32 whatever the input's type."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flashvsr_engine.kernels.norms import EPS, channel_norm_silu, rms_norm

__all__ = ["EPS", "ChannelNorm", "RMSNorm"]


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last axis."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Any leading axes; returns the input's type."""
        return rms_norm(x, self.weight)


class ChannelNorm(nn.Module):
    """SiLU(x / ||x||_2 * sqrt(C) * gamma) over the last axis, the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the input's type; x, contiguous, may be written over."""
        return channel_norm_silu(x, self.gamma.flatten())
