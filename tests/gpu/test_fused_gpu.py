"""The fused kernels on a CUDA device, against their twins."""

from __future__ import annotations

import pytest
import torch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("checks", ["norm_checks", "picture_checks"])
def test_kernels_equal_their_twins(checks: str) -> None:
    pytest.importorskip("triton")
    from tests.unit.engine import norm_checks, picture_checks

    {"norm_checks": norm_checks, "picture_checks": picture_checks}[checks].check("cuda")
