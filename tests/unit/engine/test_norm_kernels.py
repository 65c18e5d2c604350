from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from flashvsr_engine.kernels import norms

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="no Triton")
def test_kernels_equal_their_twins_in_the_interpreter() -> None:
    """In a process of its own: Triton reads the switch when it is imported."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.engine.norm_checks"],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_meta_tensors_get_the_outputs_of_the_device_path() -> None:
    x, y = torch.empty(2, 2, 5, 12, device="meta", dtype=torch.bfloat16)
    row = torch.empty(1, 12, device="meta")
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


def test_gradients_take_the_twins() -> None:
    x = torch.randn(1, 3, 8, requires_grad=True)
    y, row = torch.randn(1, 3, 8), torch.randn(1, 8)
    z, normed = norms.gated_residual_norm(x, y, row, row, row)
    normed.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.equal(z, x + row * y)
