from __future__ import annotations

import numpy as np
import pytest

from train.metrics import compare, luma
from train.truths import enlarge, shrink


def clip(frames: int = 5) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(20, 230, (frames, 32, 48, 3), dtype=np.uint8)


def test_a_constant_offset_has_the_psnr_of_its_size_and_no_temporal_error() -> None:
    truth = clip()
    scores = compare(truth + np.uint8(5), truth)
    assert scores.psnr == pytest.approx(20 * np.log10(255 / 5), abs=1e-3)
    assert scores.temporal == pytest.approx(0, abs=1e-4)
    assert compare(truth, truth).ssim == pytest.approx(1)


def test_flicker_is_temporal_error() -> None:
    truth = clip(4)
    flicker = truth.copy()
    flicker[1::2] += 3
    assert compare(flicker, truth).temporal == pytest.approx(3, abs=1e-3)


def test_luma_is_bt601_of_full_range() -> None:
    pure = np.zeros((1, 1, 4, 3), dtype=np.uint8)
    pure[0, 0, [0, 1, 2], [0, 1, 2]] = 255
    pure[0, 0, 3] = 255
    np.testing.assert_allclose(luma(pure)[0, 0], [76.245, 149.685, 29.07, 255], rtol=1e-5)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="they must agree"):
        compare(clip(4), clip(5))


def test_shrink_and_enlarge_keep_a_flat_clip() -> None:
    flat = np.full((2, 32, 48, 3), 77, dtype=np.uint8)
    assert shrink(flat).shape == (2, 8, 12, 3)
    np.testing.assert_array_equal(enlarge(shrink(flat)), flat)
