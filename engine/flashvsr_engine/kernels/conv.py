"""Convolutions with what follows them (bias, addition, activation) or comes before them (enlargement).

Where a library has the whole as one step, that is used: cuDNN for a ReLU, oneDNN for a leaky one without addition.
Elsewhere, and where a gradient is wanted, the steps run one by one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Padding = tuple[int, int]
_ONE = (1, 1)


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Padding) -> Tensor:
    """F.conv2d, but in float32 on a CPU always by oneDNN.

    For a single small image torch would take another algorithm, whose sums are rounded otherwise: a band of a frame
    would differ from the frame.
    """
    if x.device.type == "cpu" and x.dtype is torch.float32 and torch.backends.mkldnn.is_available():
        return torch.mkldnn_convolution(x, weight, bias, padding, _ONE, _ONE, 1)
    return F.conv2d(x, weight, bias, padding=padding)


def conv_act(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Padding, slope: float) -> Tensor:
    """leaky_relu(conv2d(x) + bias, slope); x (batch, channels, rows, columns), channels last in memory."""
    if not torch.is_grad_enabled():
        if _in_cudnn(x, slope):
            return torch.cudnn_convolution_relu(x, weight, bias, _ONE, padding, _ONE, 1)
        if x.device.type == "cpu" and _in_onednn(x.dtype):
            fused = torch.ops.mkldnn._convolution_pointwise
            return fused(x, weight, bias, padding, _ONE, _ONE, 1, "leaky_relu", [slope], "")
    return F.leaky_relu(conv2d(x, weight, bias, padding), slope, inplace=True)


def conv_add_act(
    x: Tensor, weight: Tensor, bias: Tensor | None, added: Tensor, padding: Padding, slope: float
) -> Tensor:
    """leaky_relu(conv2d(x) + bias + added, slope); x as in `conv_act`, added of the output's shape and layout."""
    if not torch.is_grad_enabled() and _in_cudnn(x, slope):
        return torch.cudnn_convolution_add_relu(x, weight, added, 1.0, bias, _ONE, padding, _ONE, 1)
    return F.leaky_relu(conv2d(x, weight, bias, padding).add_(added), slope, inplace=True)


def doubling_kernel(weight: Tensor) -> Tensor:
    """What a 3x3 convolution after nearest upsampling by 2 is as a transposed convolution of stride 2.

    weight (out, in, 3, 3) -> (in, out, 4, 4), in float32. On each axis an output pixel sees two input pixels, one of
    them twice: the taps that fall on the same pixel are added up once here, in place of at each pixel.
    """
    merge = weight.new_tensor(((0, 0, 1), (0, 1, 1), (1, 1, 0), (1, 0, 0)), dtype=torch.float32)
    return torch.einsum("ya,xb,ocab->coyx", merge, merge, weight.float())


def up_conv(x: Tensor, kernel: Tensor, padding: Padding = (1, 1)) -> Tensor:
    """conv2d(nearest upsampling by 2 of x) in 4/9 of its multiplications; kernel: `doubling_kernel` in x's type.

    padding (1, 1): the upsampled picture is padded with one pixel of zeros. (3, 1): its columns alone are; the first
    and the last row of x are there as neighbours, and what is made of them is left out.
    """
    return F.conv_transpose2d(x, kernel, stride=2, padding=padding)


def up_conv_reference(x: Tensor, weight: Tensor) -> Tensor:
    """The twin of `up_conv` with padding (1, 1), of the 3x3 weight itself."""
    return F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), weight, padding=1)


def _in_cudnn(x: Tensor, slope: float) -> bool:
    return slope == 0 and x.is_cuda and torch.backends.cudnn.is_available()


def _in_onednn(dtype: torch.dtype) -> bool:
    """Whether oneDNN computes in the type on this processor."""
    if not torch.backends.mkldnn.is_available():
        return False
    if dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype is torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
