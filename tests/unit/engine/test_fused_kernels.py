from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from flashvsr_engine.kernels import norms
from flashvsr_engine.kernels.enlarge import enlarge
from flashvsr_engine.kernels.pack import pack
from flashvsr_engine.kernels.target import planning_for

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="no Triton")
@pytest.mark.parametrize("checks", ["norm_checks", "picture_checks"])
def test_kernels_equal_their_twins_in_the_interpreter(checks: str) -> None:
    """In a process of its own: Triton reads the switch when it is imported."""
    run = subprocess.run(
        [sys.executable, "-m", f"tests.unit.engine.{checks}"],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_planned_tensors_get_the_outputs_of_the_device_path() -> None:
    x, y = torch.empty(2, 2, 5, 12, device="meta", dtype=torch.bfloat16)
    row = torch.empty(1, 12, device="meta")
    with planning_for(torch.device("cuda")):
        assert norms.modulated_norm(x, row, row).dtype is torch.bfloat16
        for z, normed in (
            norms.gated_residual_norm(x, y, row, row, row),
            norms.gated_residual_affine_norm(x, y, None, row[0], row[0]),
        ):
            assert z is x
            assert normed.shape == x.shape
        assert norms.gated_residual(x, y, row) is x
        assert norms.channel_norm_silu(x, row[0]) is x
        assert norms.norm_rotate(x, row[0], row, row, heads=3).shape == (2, 5, 3, 4)
        frames = torch.empty(2, 6, 7, 3, device="meta", dtype=torch.uint8)
        assert enlarge(frames, (12, 14), (16, 16)).shape == (1, 3, 2, 16, 16)
        assert pack(torch.empty(2, 3, 8, 8, device="meta"), row, row, 6, 7).shape == (2, 6, 7, 3)


def test_gradients_take_the_twins() -> None:
    x = torch.randn(1, 3, 8, requires_grad=True)
    y, row = torch.randn(1, 3, 8), torch.randn(1, 8)
    z, normed = norms.gated_residual_norm(x, y, row, row, row)
    normed.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.equal(z, x + row * y)
