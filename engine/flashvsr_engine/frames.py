"""Frames at the engine's doors: bytes a user gives -> what the network sees -> bytes a user gets."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.errors import FrameError
from flashvsr_engine.geometry import Geometry

Frames: TypeAlias = npt.NDArray[Any] | Tensor
Output = Literal["uint8", "float"]


def copied(frames: Frames, geometry: Geometry) -> Tensor:
    """A copy of the user's frames as a uint8 tensor (T, h, w, 3). FrameError for any other type or shape."""
    if not isinstance(frames, (np.ndarray, Tensor)):
        raise FrameError(f"frames are a {type(frames).__name__}; expected a numpy array or a torch tensor.")
    if str(frames.dtype).removeprefix("torch.") != "uint8":
        raise FrameError(f"frames have type {frames.dtype}; expected uint8, RGB.")
    expected = (geometry.height, geometry.width, 3)
    if frames.ndim != 4 or tuple(frames.shape[1:]) != expected:
        raise FrameError(f"frames have shape {tuple(frames.shape)}; expected (T, {expected[0]}, {expected[1]}, 3).")
    return frames.clone() if isinstance(frames, Tensor) else torch.from_numpy(frames.copy())


def upscale(frames: Tensor, geometry: Geometry) -> Tensor:
    """LQ frames: uint8 (T, h, w, 3) -> float32 (1, 3, T, H, W) in [-1, 1], bicubic (a = -0.5), padded by reflection.

    The antialiased mode is asked for because it is the one with a = -0.5, as PIL has it; when enlarging, it filters
    nothing else.
    """
    x = frames.permute(0, 3, 1, 2).float().div_(255)
    size = (geometry.out_height, geometry.out_width)
    x = F.interpolate(x, size=size, mode="bicubic", antialias=True).clamp_(0, 1).mul_(2).sub_(1)
    for axis, padded in ((2, geometry.padded_height), (3, geometry.padded_width)):
        if padded > x.shape[axis]:
            x = x.index_select(axis, _reflected(x.shape[axis], padded, x.device))
    return x.transpose(0, 1)[None]


def _reflected(size: int, padded: int, device: torch.device) -> Tensor:
    """Indices that continue an axis by reflection, back and forth where the padding is longer than the axis.

    Reflection looks like picture to the network. Replication does not: its streaks made a network that was trained
    on pictures alone answer with stripes, in the padding and beside it.
    """
    index = torch.arange(padded, device=device) % (2 * size - 2)
    return torch.where(index < size, index, 2 * size - 2 - index)


def crop(x: Tensor, geometry: Geometry) -> Tensor:
    """Cut the padding of (..., H, W) away."""
    return x[..., : geometry.out_height, : geometry.out_width]


def finished(y: Tensor, output: Output) -> Tensor:
    """(T, 3, H, W) in [-1, 1] -> (T, H, W, 3), float32 as it is or uint8 rounded."""
    y = y.permute(0, 2, 3, 1)
    if output == "float":
        return y.contiguous()
    return y.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8).contiguous()
