"""Passes over planes of pixels, (frames, channels, rows, columns), that torch is slow at on a CPU.

Each public function picks by the device of its tensors; the `*_reference` twins are what runs elsewhere, and where a
gradient is wanted.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.target import target


def variance_mean(x: Tensor) -> tuple[Tensor, Tensor]:
    """Variance, divided by the count, and mean of each plane: both (frames, channels). Equal to the twin's but for
    rounding."""
    if not _by_hand(x):
        return variance_mean_reference(x)
    mean = x.mean(dim=(2, 3))
    return (x - mean[..., None, None]).square_().mean(dim=(2, 3)), mean


def variance_mean_reference(x: Tensor) -> tuple[Tensor, Tensor]:
    """The twin of `variance_mean`."""
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
    return variance, mean


def largest_around(x: Tensor) -> Tensor:
    """The largest of the 5x5 pixels around each, as far as they lie in the plane; x's shape."""
    if not _by_hand(x):
        return largest_around_reference(x)
    return _largest_of_five(_largest_of_five(x, 3), 2)


def largest_around_reference(x: Tensor) -> Tensor:
    """The twin of `largest_around`."""
    return F.max_pool2d(x, 5, stride=1, padding=2)


def clamp_by_cell(x: Tensor, below: Tensor, above: Tensor) -> Tensor:
    """x within bounds that hold for whole square cells of pixels; may be written over x, so use what is returned.

    below, above: (frames, channels, rows / cell, columns / cell), rounded up where a plane ends within a cell.
    """
    cell = x.shape[3] // below.shape[3]
    if not _by_hand(x) or (x.shape[2], x.shape[3]) != (cell * below.shape[2], cell * below.shape[3]):
        return clamp_by_cell_reference(x, below, above)
    low, high = (bound.repeat_interleave(cell, dim=3).unsqueeze(3) for bound in (below, above))
    rows = x.unflatten(2, (-1, cell))
    torch.clamp(rows, low, high, out=rows)
    return x


def clamp_by_cell_reference(x: Tensor, below: Tensor, above: Tensor) -> Tensor:
    """The twin of `clamp_by_cell`; x stays as it is."""
    size = (x.shape[2], x.shape[3])
    low, high = (F.interpolate(bound, size=size, mode="nearest") for bound in (below, above))
    return torch.clamp(x, low, high)


def _by_hand(x: Tensor) -> bool:
    return target(x).type == "cpu" and not torch.is_grad_enabled()


def _largest_of_five(x: Tensor, axis: int) -> Tensor:
    """Along an axis; of two, then of four, then of five."""
    count = x.shape[axis]
    x = F.pad(x, (2, 2) if axis == 3 else (0, 0, 2, 2), value=float("-inf"))
    two = torch.maximum(x.narrow(axis, 0, count + 3), x.narrow(axis, 1, count + 3))
    four = torch.maximum(two.narrow(axis, 0, count + 1), two.narrow(axis, 2, count + 1))
    return torch.maximum(four.narrow(axis, 0, count), x.narrow(axis, 4, count))
