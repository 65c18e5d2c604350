"""Passes over planes against their twins."""

from __future__ import annotations

import pytest
import torch
from flashvsr_engine.kernels import planes
from torch import Tensor


@pytest.fixture
def pictures() -> Tensor:
    """Laid out in memory as a stream's guide is: channels before frames."""
    torch.manual_seed(0)
    return torch.rand(3, 2, 24, 40).transpose(0, 1) * 2 - 1


@torch.inference_mode()
def test_variance_and_mean(pictures: Tensor) -> None:
    for x in (pictures, 1000 + pictures / 100):  # a mean that is large beside the deviation
        expected = planes.variance_mean_reference(x.double())
        for found, exact in zip(planes.variance_mean(x), expected, strict=True):
            torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=0)


@torch.inference_mode()
@pytest.mark.parametrize("size", [(24, 40), (1, 7), (6, 1), (2, 3)])
def test_the_largest_around(pictures: Tensor, size: tuple[int, int]) -> None:
    x = pictures[..., : size[0], : size[1]]
    assert torch.equal(planes.largest_around(x), planes.largest_around_reference(x))


@torch.inference_mode()
@pytest.mark.parametrize("cell", [1, 4, 8, 5])
def test_bounds_of_cells(pictures: Tensor, cell: int) -> None:
    middle = pictures[..., ::cell, ::cell].roll(1, -1)
    below, above = middle - 0.1, middle + 0.2
    expected = planes.clamp_by_cell_reference(pictures, below, above)
    assert not torch.equal(expected, pictures)
    assert torch.equal(planes.clamp_by_cell(pictures.clone(), below, above), expected)
