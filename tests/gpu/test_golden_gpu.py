"""The golden cases on a CUDA device."""

from __future__ import annotations

import pytest
import torch
from flashvsr_engine import FlashVSREngine

from tests.golden.golden_case import NAMES, read

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("name", NAMES)
def test_output_is_exact(name: str) -> None:
    case = read(name)
    out = case.run(FlashVSREngine.load(case.config(device="cuda:0")), [5, 30])
    difference = (out - case.expected).abs()
    assert difference.mean() < 2e-4
    assert (difference > 4e-3).float().mean() < 1e-3


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_stays_near(precision: str) -> None:
    case = read("tiny_256x384")
    out = case.run(FlashVSREngine.load(case.config(device="cuda:0", precision=precision)), [])
    mse = (out - case.expected).square().flatten(1).mean(1).median()
    assert 10 * torch.log10(4 / mse) > 38
