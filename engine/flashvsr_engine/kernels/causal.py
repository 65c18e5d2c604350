"""What surrounds the Wan VAE's causal convolutions, each in one pass over memory on CUDA, in plain torch elsewhere.

Tensors are (batch, frames, rows, columns, channels), of any strides but 1 over the channels. Convolutions leave their
bias to the pass that comes after them. The kernels compute in float32 and round once, where the twins round at every
step.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.fused import fused

CONTEXT_FRAMES = 2
"""Frames of the past that a causal convolution sees."""
EPS = 1e-24  # under the root of a mean of squares: only keeps 0 / 0 away


def fill_causal(out: Tensor, x: Tensor, memory: Tensor, bias: Tensor | None, gamma: Tensor | None) -> None:
    """Into `out`: the two frames of the memory, then silu(x' / rms(x') * gamma) with x' = x + bias, over the channels.

    Without gamma x' itself. out has two frames more than x; its last two are the new memory, in place.
    """
    if fused(x):
        if not x.is_meta:
            from flashvsr_engine.kernels import triton_causal

            triton_causal.fill(out, x, memory, bias, gamma)
        return
    fill_causal_reference(out, x, memory, bias, gamma)


def fill_causal_reference(out: Tensor, x: Tensor, memory: Tensor, bias: Tensor | None, gamma: Tensor | None) -> None:
    """The twin of `fill_causal`."""
    y = x if bias is None else x + bias
    if gamma is not None:
        y = F.silu(F.rms_norm(y, y.shape[-1:], gamma, EPS), inplace=True)
    out[:, :CONTEXT_FRAMES] = memory
    out[:, CONTEXT_FRAMES:] = y
    memory.copy_(out[:, -CONTEXT_FRAMES:])


def add_biased(x: Tensor, y: Tensor, bias: Tensor) -> Tensor:
    """x + (y + bias), written over x and returned."""
    if fused(x):
        if not x.is_meta:
            from flashvsr_engine.kernels import triton_causal

            triton_causal.add(x, y, bias)
        return x
    return x.add_(y + bias)
