from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from train.degrade import Bicubic, Degradation
from train.jpeg import Jpeg
from train.motion import Random

CPU = torch.device("cpu")


@pytest.mark.parametrize(("side", "to"), [(128, 32), (32, 128)])
def test_bicubic_is_pillows(side: int, to: int) -> None:
    picture = np.random.default_rng(0).integers(90, 165, (side, side), dtype=np.uint8)
    expected = np.array(Image.fromarray(picture).resize((to, to), Image.Resampling.BICUBIC), dtype=np.float32)
    made = Bicubic(side, to, CPU)(torch.from_numpy(picture).float() / 255) * 255
    assert np.abs(made.numpy() - expected).max() <= 1.01  # Pillow rounds after each of its two passes


def test_degradation_reduces_to_8_bit_levels_and_spares_the_undamaged() -> None:
    clips = torch.rand(3, 3, 5, 128, 128, generator=torch.Generator().manual_seed(0))
    small = Degradation(128, 4, Random(torch.Generator().manual_seed(1)))(clips, damaged=1)
    clean = Degradation(128, 4, Random(torch.Generator().manual_seed(1)))(clips, damaged=0)
    assert small.shape == (3, 3, 5, 32, 32)
    levels = small * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert (small - clean).abs().amax((1, 2, 3, 4)).gt(0).tolist() == [True, False, False]


@settings(max_examples=20, deadline=None)
@given(st.integers(50, 99), st.floats(0, 1), st.integers(1, 3), st.integers(1, 3))
def test_jpeg_keeps_flat_frames(quality: int, level: float, rows: int, columns: int) -> None:
    clips = torch.full((1, 3, 2, 16 * rows, 16 * columns), level)
    made = Jpeg(CPU)(clips, torch.tensor([float(quality)]))
    assert made.shape == clips.shape
    assert (made - clips).abs().max() <= 2 / 255  # half a step of the DC coefficient, at most 16 / 8 levels


def test_jpeg_loses_more_at_lower_quality() -> None:
    clips = torch.rand(1, 3, 1, 32, 32, generator=torch.Generator().manual_seed(0)).expand(2, -1, -1, -1, -1)
    error = (Jpeg(CPU)(clips, torch.tensor([55.0, 98.0])) - clips).square().mean((1, 2, 3, 4))
    assert error[0] > 1.2 * error[1]


@pytest.mark.parametrize(("scale", "side"), [(2, 64), (3, 43), (4, 32)])
def test_every_scale_can_be_damaged(scale: int, side: int) -> None:
    clips = torch.rand(2, 3, 2, 128, 128, generator=torch.Generator().manual_seed(0))
    small = Degradation(128, scale, Random(torch.Generator().manual_seed(1)))(clips, damaged=1)
    assert small.shape == (2, 3, 2, side, side)
