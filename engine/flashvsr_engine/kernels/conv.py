"""Convolutions with what follows them: bias, addition, activation, and enlargement before them.

Where a library has the whole as one step (cuDNN, for a ReLU), that is used; elsewhere the steps run one by one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def conv_act(x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], slope: float) -> Tensor:
    """leaky_relu(conv2d(x) + bias, slope); x (batch, channels, rows, columns), channels last in memory."""
    if _in_cudnn(x, slope):
        return torch.cudnn_convolution_relu(x, weight, bias, (1, 1), padding, (1, 1), 1)
    return F.leaky_relu_(F.conv2d(x, weight, bias, padding=padding), slope)


def conv_add_act(
    x: Tensor, weight: Tensor, bias: Tensor | None, added: Tensor, padding: tuple[int, int], slope: float
) -> Tensor:
    """leaky_relu(conv2d(x) + bias + added, slope); x as in `conv_act`, added of the output's shape and layout."""
    if _in_cudnn(x, slope):
        return torch.cudnn_convolution_add_relu(x, weight, added, 1.0, bias, (1, 1), padding, (1, 1), 1)
    return F.leaky_relu_(F.conv2d(x, weight, bias, padding=padding).add_(added), slope)


def doubling_kernel(weight: Tensor) -> Tensor:
    """What a 3x3 convolution after nearest upsampling by 2 is as a transposed convolution of stride 2.

    weight (out, in, 3, 3) -> (in, out, 4, 4), in float32. On each axis an output pixel sees two input pixels, one of
    them twice: the taps that fall on the same pixel are added up once here, in place of at each pixel.
    """
    merge = weight.new_tensor(((0, 0, 1), (0, 1, 1), (1, 1, 0), (1, 0, 0)), dtype=torch.float32)
    return torch.einsum("ya,xb,ocab->coyx", merge, merge, weight.float())


def up_conv(x: Tensor, kernel: Tensor, padding: tuple[int, int] = (1, 1)) -> Tensor:
    """conv2d(nearest upsampling by 2 of x), 4/9 of its multiplications; kernel: `doubling_kernel` in x's type.

    padding (1, 1) pads the upsampled picture with one pixel of zeros. (2, 1) pads its columns alone: the first and the
    last row of x are there for their neighbours, and of their rows only the inner ones are made.
    """
    return F.conv_transpose2d(x, kernel, stride=2, padding=padding)


def up_conv_reference(x: Tensor, weight: Tensor) -> Tensor:
    """The twin of `up_conv` with padding (1, 1), of the 3x3 weight itself."""
    return F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), weight, padding=1)


def _in_cudnn(x: Tensor, slope: float) -> bool:
    return slope == 0 and x.is_cuda and torch.backends.cudnn.is_available() and not torch.is_grad_enabled()
