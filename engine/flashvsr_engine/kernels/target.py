"""Which device a tensor stands for.

A memory plan runs the network on `meta` tensors, which have shapes and no values. Where code depends on the device, a
meta tensor has to be treated like one of the device that is planned for, except that nothing can be launched on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_planned: ContextVar[torch.device | None] = ContextVar("planned", default=None)


def target(x: Tensor) -> torch.device:
    """The tensor's device; for a meta tensor the one that it stands for."""
    return (_planned.get() or x.device) if x.is_meta else x.device


@contextmanager
def planning_for(device: torch.device) -> Iterator[None]:
    """Within it, meta tensors stand for tensors of this device."""
    token = _planned.set(device)
    try:
        yield
    finally:
        _planned.reset(token)
