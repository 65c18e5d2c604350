"""Weights that train better than they serve: parametrised while training, folded into plain ones on export."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

FLOOR = 0.03
"""Of the whitened directions' variance, in parts of the mean variance: keeps fine detail from drowning in noise."""


class Centred(nn.Module):
    """A convolution's weights without each filter's mean, so that the activations' mean does not pass through."""

    def forward(self, weight: Tensor) -> Tensor:
        """(out, in, height, width)."""
        return weight - weight.mean((1, 2, 3), keepdim=True)


class Whitened(nn.Module):
    """A convolution's weights given for a whitened input: W(x) = W'(A x), A symmetric, by the input's covariance."""

    def __init__(self, covariance: Tensor) -> None:
        super().__init__()
        variance, directions = torch.linalg.eigh(covariance.double())
        floor = FLOOR * variance.mean()
        matrix = directions * (variance.clamp(min=0) + floor).rsqrt() @ directions.T
        self.matrix: Tensor
        self.register_buffer("matrix", matrix.float())

    def forward(self, weight: Tensor) -> Tensor:
        """(out, in, height, width). In float32 also under autocast: the matrix has a wide range."""
        with torch.autocast(weight.device.type, enabled=False):
            return torch.einsum("oiyx,ij->ojyx", weight, self.matrix)


def parametrise(decoder: nn.Module, first: nn.Conv2d | None, covariance: Tensor | None) -> None:
    """Centre a decoder's 3x3 convolutions, but for the first, whose input is whitened, where it is given."""
    for module in list(decoder.modules()):
        if module is first and covariance is not None:
            parametrize.register_parametrization(module, "weight", Whitened(covariance))
        elif isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            parametrize.register_parametrization(module, "weight", Centred())


def folded_state(network: nn.Module) -> dict[str, Tensor]:
    """The state dict that the same network without parametrisations would have."""
    state = {name: value for name, value in network.state_dict().items() if ".parametrizations." not in name}
    for name, module in network.named_modules():
        if parametrize.is_parametrized(module):
            assert isinstance(module.weight, Tensor)
            state[f"{name}.weight"] = module.weight.detach()
    return state
