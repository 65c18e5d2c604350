"""Frames of several tensors put in turn, through an activation on the way."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.fused import fused


def interleave(parts: Sequence[Tensor], slope: float | None) -> Tensor:
    """Frame n of each part, then frame n + 1: (frames, channels, height, width) each -> (parts * frames, ...).

    slope: of a leaky ReLU, None for none. All channels last in memory, so is what comes out; one part alone may be
    written over.
    """
    if len(parts) == 1:
        return parts[0] if slope is None else F.leaky_relu(parts[0], slope, inplace=True)
    if len(parts) == 2 and all(fused(part) and _channels_last(part) for part in parts):
        frames, channels, height, width = parts[0].shape
        out = parts[0].new_empty(2 * frames, height, width, channels).permute(0, 3, 1, 2)
        if not out.is_meta:
            from flashvsr_engine.kernels import triton_interleave

            triton_interleave.interleave(parts[0], parts[1], out, slope)
        return out
    return interleave_reference(parts, slope)


def interleave_reference(parts: Sequence[Tensor], slope: float | None) -> Tensor:
    """The twin of `interleave`."""
    out = torch.stack([part.permute(0, 2, 3, 1) for part in parts], dim=1).flatten(0, 1).permute(0, 3, 1, 2)
    return out if slope is None else F.leaky_relu(out, slope, inplace=True)


def _channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last)
