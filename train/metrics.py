"""Distances between clips: those of `flashvsr compare`, so that this project has one luma and one PSNR."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from flashvsr_client.compare.measure import Scores, means, scored

Clip = npt.NDArray[np.uint8]
"""(frames, height, width, 3), RGB."""


def compare(clip: Clip, truth: Clip) -> Scores:
    """Means over all frames, as docs/quality.md defines them; temporal is None for a clip of one frame.

    ValueError for clips of different shapes.
    """
    if clip.shape != truth.shape:
        raise ValueError(f"the clip has shape {clip.shape}, the truth {truth.shape}; they must agree.")
    (found,) = means(list(scored((true, [made]) for made, true in zip(clip, truth, strict=True))))
    return found
