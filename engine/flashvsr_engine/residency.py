"""Where the DiT's weights lie: on the device for good, or only while they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn


class Residency(Protocol):
    """Brings a module's weights to the device."""

    def present(self, then_unload: bool) -> AbstractContextManager[None]:
        """Within it the weights are on the device; after it, if asked, no longer."""


class Uncounted:
    """Weights without values, of which a plan counts the bytes itself."""

    def present(self, then_unload: bool) -> AbstractContextManager[None]:
        """See `Residency`."""
        return nullcontext()


class Offloaded:
    """Weights that can leave the device: a copy in (pinned) host memory is made when they first do."""

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self._parameters = list(module.parameters())
        self._device = device
        self._host: list[Tensor] = []

    @contextmanager
    def present(self, then_unload: bool) -> Iterator[None]:
        """See `Residency`."""
        if self._host and self._parameters[0].device != self._device:
            for parameter, kept in zip(self._parameters, self._host, strict=True):
                parameter.data = kept.to(self._device, non_blocking=True)
        try:
            yield
        finally:
            if then_unload and self._device.type != "cpu":
                self._leave()

    def _leave(self) -> None:
        if not self._host:
            self._host = [self._copied(parameter.data) for parameter in self._parameters]
        for parameter, kept in zip(self._parameters, self._host, strict=True):
            parameter.data = kept

    def _copied(self, weight: Tensor) -> Tensor:
        host = torch.empty(weight.shape, dtype=weight.dtype, pin_memory=True)
        return host.copy_(weight)
