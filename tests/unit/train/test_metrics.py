from __future__ import annotations

import numpy as np
import pytest
from flashvsr_client.compare import metrics

from train.metrics import compare
from train.truths import enlarge, shrink


def clip(frames: int = 5) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(20, 230, (frames, 32, 48, 3), dtype=np.uint8)


def test_a_constant_offset_has_the_psnr_of_its_size_and_no_temporal_error() -> None:
    truth = clip()
    scores = compare(truth + np.uint8(5), truth)
    assert scores.psnr == pytest.approx(20 * np.log10(255 / (5 * 219 / 255)), abs=1e-3)
    assert scores.temporal == pytest.approx(0, abs=1e-4)
    assert compare(truth, truth).ssim == pytest.approx(1)


def test_psnr_is_the_mean_of_the_frames_not_that_of_the_whole_error() -> None:
    truth = clip(2)
    made = truth.copy()
    made[1] += 20
    assert compare(made, truth).psnr == pytest.approx((metrics.SAME_DB + 20 * np.log10(255 / (20 * 219 / 255))) / 2)


def test_flicker_is_temporal_error() -> None:
    truth = clip(4)
    flicker = truth.copy()
    flicker[1::2] += 3
    assert compare(flicker, truth).temporal == pytest.approx(3 * 219 / 255, abs=1e-3)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="they must agree"):
        compare(clip(4), clip(5))


@pytest.mark.parametrize("scale", [2, 4])
def test_shrink_and_enlarge_keep_a_flat_clip(scale: int) -> None:
    flat = np.full((2, 32, 48, 3), 77, dtype=np.uint8)
    assert shrink(flat, scale).shape == (2, 32 // scale, 48 // scale, 3)
    np.testing.assert_array_equal(enlarge(shrink(flat, scale), scale), flat)
