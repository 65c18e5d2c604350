"""The last convolution of a decoder, to three colours."""

from __future__ import annotations

import torch
from torch import Tensor

from flashvsr_engine.kernels.conv import Padding, conv2d
from flashvsr_engine.kernels.fused import fused


def conv_rgb(x: Tensor, weight: Tensor, bias: Tensor, padding: Padding) -> Tensor:
    """conv2d of x (batch, channels, rows, columns), channels last in memory, with weight (3, channels, 3, 3).

    padding: (1, 1), or (0, 1) for columns alone. On CUDA in half precision by a kernel of our own, which reads x once,
    where a library's are made for many channels; it sums in float32 as they do.
    """
    channels, height, width = x.shape[1:]
    fits = channels >= 16 and channels & (channels - 1) == 0 and x.element_size() == 2
    if not (fits and fused(x)):
        return conv2d(x, weight, bias, padding)
    out = x.new_empty(len(x), 3, height - 2 + 2 * padding[0], width)
    if not x.is_meta:
        from flashvsr_engine.kernels import triton_rgb

        triton_rgb.conv_rgb(x, triton_rgb.rgb_kernel(weight), bias, out)
    return out
