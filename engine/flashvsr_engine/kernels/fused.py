"""Where the Triton kernels of this package take over from their torch twins."""

from __future__ import annotations

import torch
from torch import Tensor

from flashvsr_engine.kernels.packages import triton_runs_on
from flashvsr_engine.kernels.target import target


def fused(x: Tensor) -> bool:
    """Whether x goes through a kernel: on CUDA, or planned for it, unless a gradient is wanted."""
    if torch.is_grad_enabled() and x.requires_grad:
        return False
    device = target(x)
    return device.type == "cuda" if x.is_meta else triton_runs_on(device)
