"""Distances between clips, in the units that the tables give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

Clip = npt.NDArray[np.uint8]
"""(frames, height, width, 3), RGB."""

_BT601 = np.array((0.299, 0.587, 0.114), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Scores:
    """psnr: of luma, in dB. ssim: of luma. temporal: see `temporal_error`, in 8-bit levels."""

    psnr: float
    ssim: float
    temporal: float


def compare(clip: Clip, truth: Clip, ssim_every: int = 4) -> Scores:
    """Score a clip. PSNR is of the clip's whole error; SSIM is the mean of every `ssim_every`-th frame's."""
    if clip.shape != truth.shape:
        raise ValueError(f"the clip has shape {clip.shape}, the truth {truth.shape}; they must agree.")
    made, true = luma(clip), luma(truth)
    return Scores(
        psnr=float(10 * np.log10(255**2 / max(np.square(made - true).mean(dtype=np.float64), 1e-10))),
        ssim=float(np.mean([ssim(a, b) for a, b in zip(made[::ssim_every], true[::ssim_every], strict=True)])),
        temporal=temporal_error(made, true),
    )


def luma(clip: Clip) -> npt.NDArray[np.float32]:
    """BT.601 luma of full-range RGB, 0 to 255, neither rounded nor scaled to 16..235."""
    return np.asarray(clip @ _BT601, dtype=np.float32)


def ssim(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Wang et al. 2004: Gaussian window of sigma 1.5, population covariance; whole frame."""
    settings = {"data_range": 255.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    value = structural_similarity(a, b, **settings)  # type: ignore[no-untyped-call]
    return float(value)


def temporal_error(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Mean absolute error of the change from frame to frame: flicker and swimming that the truth does not have."""
    if len(a) < 2:
        return 0.0
    error = a - b
    return float(np.abs(error[1:] - error[:-1]).mean(dtype=np.float64))
