"""Distances between two pictures and between two films, on luma. docs/quality.md says what each figure is good for."""

from __future__ import annotations

from math import log10
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flashvsr_client.chunks import Frame

Luma = npt.NDArray[np.float32]
"""[h, w], 16 (black) to 235 (white)."""
SAME_DB: Final = 100.0
"""The PSNR of equal pictures, and the most of any."""
_WEIGHTS: Final = np.array([65.481, 128.553, 24.966], np.float32) / 255


def luma(frame: Frame) -> Luma:
    """Y of ITU-R BT.601-7 2.5.1 in 8-bit studio steps, not rounded, of RGB uint8 [h, w, 3].

    Papers of this field measure on it, whatever matrix a file is stored in.
    """
    return np.asarray(frame.astype(np.float32) @ _WEIGHTS + np.float32(16))


def psnr(a: Luma, b: Luma) -> float:
    """Peak signal-to-noise ratio in dB for a peak of 255: 20 log10(255) - 10 log10(mean squared error)."""
    error = float(np.mean(np.square(a - b), dtype=np.float64))
    return SAME_DB if error == 0 else min(SAME_DB, 20 * log10(255) - 10 * log10(error))


def ssim(a: Luma, b: Luma) -> float:
    """Structural similarity of Wang et al. 2004: Gaussian window of 11 x 11 and sigma 1.5, for a range of 255.

    By scikit-image. Pictures are 11 pixels wide and high at least.
    """
    from skimage.metrics import structural_similarity

    settings: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(a, b, data_range=255.0, **settings))  # type: ignore[no-untyped-call]


def temporal_error(error: Luma, error_before: Luma) -> float:
    """Mean absolute difference of two errors, of a frame and of the one before, in 8-bit steps.

    It is the error of the change from frame to frame: flicker and swimming that the reference does not have.
    """
    return float(np.mean(np.abs(error - error_before), dtype=np.float64))
