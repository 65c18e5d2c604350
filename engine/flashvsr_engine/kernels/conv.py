"""Convolutions with what follows them (bias, addition, activation) or comes before them (enlargement).

Where a library has the whole as one step, that is used: cuDNN for a ReLU, oneDNN for a leaky one without addition and
for an addition. Elsewhere, and where a gradient is wanted, the steps run one by one.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.target import target

Padding = tuple[int, int]
PastWeights = tuple[Tensor, Tensor, Tensor | None]
"""Of a convolution over a frame and its predecessor: (own, past, own + past or nothing)."""
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
    """leaky_relu(conv2d(x) + bias + added, slope); x as in `conv_act`, added of the output's shape and layout.

    May be written over `added`, so use what is returned.
    """
    if not torch.is_grad_enabled():
        if _in_cudnn(x, slope):
            return torch.cudnn_convolution_add_relu(x, weight, added, 1.0, bias, _ONE, padding, _ONE, 1)
        if adds_in_place(x):
            return F.leaky_relu(_add_conv(added, x, weight, bias, padding), slope, inplace=True)
    return F.leaky_relu(conv2d(x, weight, bias, padding).add_(added), slope, inplace=True)


def conv_past_act(
    x: Tensor, before: Tensor, weights: PastWeights, bias: Tensor | None, padding: Padding, slope: float
) -> list[Tensor]:
    """leaky_relu(conv2d(x, own) + conv2d(predecessors of x, past) + bias, slope) for consecutive frames, on a CPU.

    x (frames, channels, rows, columns), before: the frame before these, (1, ...). Returns each frame's by itself.
    Where weights.both is given, frames are taken in pairs, which then need three convolutions in place of four
    (Winograd's F(2, 2) over time): with p, a, b in a row, the middle product (own + past) a is common to
    past (p - a) + (own + past) a and own (b - a) + (own + past) a.
    """
    own, past, both = weights
    frames = [before, *x.split(1)]
    if both is None:
        return [
            conv_add_act(now, own, bias, conv2d(earlier, past, None, padding), padding, slope)
            for earlier, now in pairwise(frames)
        ]
    assert len(x) % 2 == 0, "frames come in pairs"
    made = []
    for earlier, now, after in zip(frames[0::2], frames[1::2], frames[2::2], strict=False):
        common = conv2d(now, both, bias, padding)
        made.append(conv_add_act(earlier - now, past, None, common.clone(), padding, slope))
        made.append(conv_add_act(after - now, own, None, common, padding, slope))
    return made


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


def adds_in_place(x: Tensor) -> bool:
    """Whether x lies on a CPU, or is planned for one, whose oneDNN adds a convolution of x to a tensor."""
    return target(x).type == "cpu" and _in_onednn(x.dtype)


def _add_conv(into: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, padding: Padding) -> Tensor:
    if not x.is_meta:
        add = torch.ops.mkldnn._convolution_pointwise_.binary
        add(into, x, weight, bias, padding, _ONE, _ONE, 1, "add", 1.0, None, [], None)
    return into


def _in_cudnn(x: Tensor, slope: float) -> bool:
    return slope == 0 and x.is_cuda and torch.backends.cudnn.is_available()


def _in_onednn(dtype: torch.dtype) -> bool:
    """Whether oneDNN computes in the type on this processor."""
    if not torch.backends.mkldnn.is_available():
        return False
    if dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype is torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
