"""Muon for matrices and convolutions, AdamW for the rest, and the moving average that is exported."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from train.config import OptimConfig

NEWTON_SCHULZ_STEPS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ADAM_NAMES = ("modulation", "time_embedding", "time_projection", "text_embedding", "norm", "bias", "decoder.26")
"""Also the last convolution: made orthogonal, colour differences would move as fast as the luma they share."""


def orthogonalise(matrices: Tensor) -> Tensor:
    """About the nearest orthogonal matrix of each of (n, rows, columns), by Newton-Schulz iterations.

    Muon's quintic (K. Jordan, 2024): singular values end between about 0.7 and 1.2. bfloat16 on CUDA, else float32.
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    if x.is_cuda:
        x = x.bfloat16()
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).float()


class Muon:
    """Momentum, orthogonalised. Parameters of one shape are stepped together.

    An update's entries have a root mean square of about 0.2 * lr, as AdamW's have.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], momentum: float) -> None:
        self._momentum = momentum
        self._groups: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            self._groups[(parameter.shape[0], parameter[0].numel())].append(parameter)
        self._buffers = {
            shape: torch.zeros(len(group), *shape, device=group[0].device) for shape, group in self._groups.items()
        }

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One step with Nesterov momentum."""
        for shape, group in self._groups.items():
            gradient = torch.stack([_gradient(p).flatten(1) for p in group])
            buffer = self._buffers[shape].lerp_(gradient, 1 - self._momentum)
            update = orthogonalise(gradient.lerp(buffer, self._momentum)) * (-0.2 * lr * math.sqrt(max(shape)))
            torch._foreach_add_(group, [u.view(p.shape) for u, p in zip(update, group, strict=True)])


class Optimiser:
    """Both optimisers, gradient clipping and the learning rate's course over a run."""

    def __init__(self, network: nn.Module, config: OptimConfig) -> None:
        muon, adam = _split(network)
        self._config = config
        self._parameters = muon + adam
        self._muon = Muon(muon, config.momentum)
        fused = adam[0].is_cuda
        self._adam = torch.optim.AdamW(adam, lr=config.adam_lr, betas=config.betas, weight_decay=0.0, fused=fused)

    def step(self, step: int, progress: float) -> None:
        """Clip, step and clear the gradients. step counts from 0; progress is the part of the run that is over."""
        nn.utils.clip_grad_norm_(self._parameters, self._config.clip)
        factor = learning_rate_factor(step, progress, self._config.warmup_steps)
        for group in self._adam.param_groups:
            group["lr"] = self._config.adam_lr * factor
        self._adam.step()
        self._muon.step(self._config.muon_lr * factor)
        for parameter in self._parameters:
            parameter.grad = None


class Average:
    """Exponential moving average of a module's parameters, warmed up over its first steps."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._steps = 0
        self._live: list[Tensor] = list(network.parameters())
        self._mean = [p.detach().clone() for p in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as they are."""
        self._steps += 1
        decay = min(self._decay, self._steps / (self._steps + 10))
        torch._foreach_lerp_(self._mean, self._live, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module has its averaged parameters inside, and its own again afterwards."""
        own = [p.detach().clone() for p in self._live]
        with torch.no_grad():
            torch._foreach_copy_(self._live, self._mean)
            try:
                yield
            finally:
                torch._foreach_copy_(self._live, own)


def learning_rate_factor(step: int, progress: float, warmup_steps: int) -> float:
    """Linear warm-up in steps, then half a cosine over the run, down to 0."""
    return min(1.0, (step + 1) / warmup_steps) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


def _split(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters for Muon and for AdamW."""
    muon: list[nn.Parameter] = []
    adam: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        plain = parameter.ndim < 2 or any(part in name for part in _ADAM_NAMES)
        (adam if plain else muon).append(parameter)
    return muon, adam


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None, "every parameter takes part in every clip"
    return parameter.grad
