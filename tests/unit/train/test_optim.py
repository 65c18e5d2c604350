from __future__ import annotations

import pytest
import torch
from torch import nn

from train.config import TrainConfig
from train.optim import Average, Muon, learning_rate_factor, orthogonalise


@pytest.mark.parametrize("shape", [(40, 200), (200, 40), (24, 96)])
def test_orthogonalised_singular_values_are_near_one(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)) * 1e-4
    values = torch.linalg.svdvals(orthogonalise(matrices))
    assert values.min() > 0.3
    assert values.max() < 1.3


def test_muon_steps_each_parameter_as_if_alone() -> None:
    def parameters() -> list[nn.Parameter]:
        torch.manual_seed(0)
        made = [nn.Parameter(torch.randn(8, 4, 3, 3)) for _ in range(2)]
        for parameter in made:
            parameter.grad = torch.randn_like(parameter)
        return made

    together, alone = parameters(), parameters()
    before = alone[1].detach().clone()
    Muon(together, 0.95).step(0.1)
    Muon(alone[1:], 0.95).step(0.1)
    torch.testing.assert_close(together[1], alone[1])
    change = (alone[1].detach() - before).square().mean().sqrt().item()
    assert change == pytest.approx(0.02, rel=0.2)  # 0.2 * lr


def test_learning_rate_warms_up_and_ends_at_zero() -> None:
    assert learning_rate_factor(0, 0.0, 100) == pytest.approx(0.01)
    assert learning_rate_factor(200, 0.0, 100) == 1
    assert learning_rate_factor(200, 0.5, 100) == pytest.approx(0.5)
    assert learning_rate_factor(200, 1.2, 100) == pytest.approx(0)


def test_average_is_applied_and_taken_back() -> None:
    layer = nn.Linear(2, 2, bias=False)
    average = Average(layer, decay=0.5)
    start = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight += 1
    for _ in range(20):
        average.update()
    own = layer.weight.detach().clone()
    with average.applied():
        torch.testing.assert_close(layer.weight, start + 1, atol=1e-3, rtol=0)
        assert not torch.equal(layer.weight, own)
    assert torch.equal(layer.weight, own)


def test_batches_to_a_step_grow(tiny: TrainConfig) -> None:
    assert [tiny.optim.batches(p) for p in (0.0, 0.59, 0.6, 0.99, 1.5)] == [1, 1, 2, 4, 4]
