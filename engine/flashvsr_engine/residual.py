"""For a decoder whose output is a residual: the sum, held near the colours that the input has around each pixel.

Detail lives between the colours of its neighbourhood, give or take an overshoot. A network that meets what it was
never trained on (test patterns, say) may answer with far more; this bounds what of it is seen. On films it costs less
than 0.05 dB (bench/RESULTS.md).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STRIDE = 4
REACH = 2
"""Of the neighbourhood, in steps of STRIDE pixels to each side."""
FLOOR = 0.2
SHARE = 0.4
"""The overshoot that is allowed, in [-1, 1]: FLOOR and this share of the neighbourhood's range."""


def add_residual(guide: Tensor, residual: Tensor) -> Tensor:
    """guide + residual, bounded; all (frames, 3, H, W), the guide in [-1, 1]."""
    coarse = guide[..., ::STRIDE, ::STRIDE]
    high, low = _largest(coarse), -_largest(-coarse)
    slack = FLOOR + SHARE * (high - low)
    size = (guide.shape[-2], guide.shape[-1])
    above, below = (F.interpolate(bound, size=size, mode="nearest") for bound in (high + slack, low - slack))
    return torch.clamp(guide + residual, below, above)


def _largest(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2 * REACH + 1, stride=1, padding=REACH)
