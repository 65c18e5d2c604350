"""Frames at the engine's doors: bytes a user gives -> what the network sees -> bytes a user gets."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from flashvsr_engine.errors import FrameError
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.kernels.enlarge import enlarge

Frames: TypeAlias = npt.NDArray[Any] | Tensor
Output = Literal["uint8", "uint16", "float"]
OUTPUTS: Final[dict[Output, torch.dtype]] = {"uint8": torch.uint8, "uint16": torch.uint16, "float": torch.float32}
INPUTS: Final = ("uint8", "uint16")


def copied(frames: Frames, geometry: Geometry) -> Tensor:
    """A copy of the user's frames as a tensor (T, h, w, 3), uint8 or uint16. FrameError for any other type or shape."""
    if not isinstance(frames, (np.ndarray, Tensor)):
        raise FrameError(f"frames are a {type(frames).__name__}; expected a numpy array or a torch tensor.")
    if str(frames.dtype).removeprefix("torch.") not in INPUTS:
        raise FrameError(f"frames have type {frames.dtype}; expected uint8 or uint16, RGB.")
    expected = (geometry.height, geometry.width, 3)
    if frames.ndim != 4 or tuple(frames.shape[1:]) != expected:
        raise FrameError(f"frames have shape {tuple(frames.shape)}; expected (T, {expected[0]}, {expected[1]}, 3).")
    return frames.clone() if isinstance(frames, Tensor) else torch.from_numpy(frames.copy())


def empty_output(count: int, geometry: Geometry, output: Output, device: torch.device) -> Tensor:
    """Room for output frames of a kind: (count, s*h, s*w, 3)."""
    return torch.empty(count, geometry.out_height, geometry.out_width, 3, dtype=OUTPUTS[output], device=device)


def on_device(frames: Tensor, device: torch.device) -> Tensor:
    """Frames on a device. To CUDA by way of page-locked memory, so that nobody waits for the device's work before."""
    if device.type != "cuda" or frames.is_cuda:
        return frames.to(device)
    return frames.pin_memory().to(device, non_blocking=True)


def on_host(frames: Tensor) -> npt.NDArray[Any]:
    """Frames as a numpy array, done with.

    From CUDA by way of page-locked memory, which takes them an order of magnitude faster; torch uses it again when
    the array is gone.
    """
    if not frames.is_cuda:
        return frames.numpy()
    host = torch.empty(frames.shape, dtype=frames.dtype, pin_memory=True)
    host.copy_(frames, non_blocking=True)
    torch.cuda.current_stream(frames.device).synchronize()
    return host.numpy()


def upscale(frames: Tensor, geometry: Geometry) -> Tensor:
    """LQ frames: uint8 or uint16 (T, h, w, 3) -> float32 (1, 3, T, H, W) in [-1, 1].

    Bicubic (a = -0.5), padded by reflection.
    """
    size = (geometry.out_height, geometry.out_width)
    return enlarge(frames, size, (geometry.padded_height, geometry.padded_width))


def crop(x: Tensor, geometry: Geometry) -> Tensor:
    """Cut the padding of (..., H, W) away."""
    return x[..., : geometry.out_height, : geometry.out_width]


def finished(y: Tensor, output: Output) -> Tensor:
    """(T, 3, H, W) in [-1, 1] -> (T, H, W, 3), float32 as it is, or rounded to uint8 or uint16 of full scale."""
    y = y.permute(0, 2, 3, 1)
    if output == "float":
        return y.contiguous()
    peak = torch.iinfo(OUTPUTS[output]).max
    return y.add(1).mul_(peak / 2).round_().clamp_(0, peak).to(OUTPUTS[output]).contiguous()
