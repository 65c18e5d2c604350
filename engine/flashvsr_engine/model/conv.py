"""Convolutions whose result for a row does not depend on how many other rows the call has."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.conv import conv2d

__all__ = ["by_frame", "conv2d", "over_time", "pointwise"]


def over_time(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution of (batch, frames, rows, columns, channels) that pads the columns alone, with zeros."""
    if x.device.type != "cpu":
        padding = (0, 0, weight.shape[-1] // 2)
        return F.conv3d(x.permute(0, 4, 1, 2, 3), weight, bias, padding=padding).permute(0, 2, 3, 4, 1)
    # On a CPU torch has but a slow conv3d; the same sum, frame by frame of the kernel, takes a tenth of its time.
    frames = x.shape[1] - weight.shape[2] + 1
    y = by_frame(x[:, :frames], weight[:, :, 0], bias)
    for past in range(1, weight.shape[2]):
        y.add_(by_frame(x[:, past : past + frames], weight[:, :, past], None))
    return y


def by_frame(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution of each frame of (batch, frames, rows, columns, channels) that pads the columns alone."""
    y = conv2d(x.flatten(0, 1).permute(0, 3, 1, 2), weight, bias, (0, weight.shape[-1] // 2))
    return y.permute(0, 2, 3, 1).unflatten(0, x.shape[:2])


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution of one place of (batch, frames, rows, columns, channels), whatever the axes of its weight.

    No matrix product: that may round a row by where it lies in its matrix.
    """
    return by_frame(x, weight.flatten(1)[..., None, None], bias)
