"""Which optional packages are here. Looked up, not imported: importing some of them takes seconds."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec

import torch


@cache
def installed(package: str) -> bool:
    """Whether a package can be imported."""
    return find_spec(package) is not None


def triton_runs_on(device: torch.device) -> bool:
    """Whether this package's Triton kernels compile for a device: NVIDIA's from compute capability 7.5."""
    if device.type != "cuda" or torch.version.hip is not None or not installed("triton"):
        return False
    return torch.cuda.get_device_capability(device) >= (7, 5)


def gluon_is_known() -> bool:
    """Whether Triton's Gluon is of a version that the kernels written in it were compiled with."""
    return installed("triton") and (3, 6) <= tuple(map(int, version("triton").split(".")[:2])) <= (3, 9)
