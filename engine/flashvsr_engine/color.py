"""Colour correction: tie the colours of the output to those of the upscaled input, frame by frame."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.config import ColorFix
from flashvsr_engine.kernels.planes import variance_mean

VARIANCE_FLOOR = 1e-5
WAVELET_LEVELS = 5


def adain(y: Tensor, lq: Tensor) -> Tensor:
    """Give each channel of each frame the mean and deviation it has in lq. Both (frames, 3, H, W) in [-1, 1]."""
    factor, offset = adain_map(y, lq)
    return (y * factor[..., None, None] + offset[..., None, None]).clamp(-1, 1)


def adain_map(y: Tensor, lq: Tensor) -> tuple[Tensor, Tensor]:
    """What `adain` multiplies each channel of each frame with, and what it then adds: both (frames, 3)."""
    (y_std, y_mean), (lq_std, lq_mean) = _statistics(y), _statistics(lq)
    factor = lq_std / y_std
    return factor, lq_mean - factor * y_mean


def no_map(y: Tensor, lq: Tensor) -> tuple[Tensor, Tensor]:
    """Factor and offset that change nothing."""
    return y.new_ones(y.shape[:2]), y.new_zeros(y.shape[:2])


def wavelet(y: Tensor, lq: Tensor) -> Tensor:
    """The fine bands of y on the coarse band of lq. Both (frames, 3, H, W) in [-1, 1]."""
    return (y + _coarse_band(lq - y)).clamp(-1, 1)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = variance_mean(x)
    return (variance + VARIANCE_FLOOR).sqrt(), mean


def _coarse_band(x: Tensor) -> Tensor:
    """What is left after `WAVELET_LEVELS` low-passes with the binomial kernel, dilated twofold each time.

    Linear, so the difference of two pictures can be filtered in place of both; separable, as the kernel is an
    outer product.
    """
    tap = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device).expand(x.shape[1], 1, 3)
    for level in range(WAVELET_LEVELS):
        reach = 2**level
        x = F.pad(x, (reach, reach, reach, reach), mode="replicate")
        x = F.conv2d(x, tap[:, :, None], groups=x.shape[1], dilation=(1, reach))
        x = F.conv2d(x, tap[..., None], groups=x.shape[1], dilation=(reach, 1))
    return x


def untouched(y: Tensor, lq: Tensor) -> Tensor:
    """The output as it is, which may lie a little outside [-1, 1]."""
    return y


COLOR_FIXES: dict[ColorFix, Callable[[Tensor, Tensor], Tensor]] = {
    "adain": adain,
    "wavelet": wavelet,
    "none": untouched,
}
COLOR_MAPS: dict[ColorFix, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {"adain": adain_map, "none": no_map}
"""Those of them that are an affine map of each channel of each frame, so that `pack` can take them along."""
