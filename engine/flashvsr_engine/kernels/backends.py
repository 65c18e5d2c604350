"""The implementations of attention that a user can name: what each needs, and which one a device gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shutil import which
from typing import Literal, NamedTuple

import torch

from flashvsr_engine.errors import ConfigError
from flashvsr_engine.kernels.packages import installed

Backend = Literal["auto", "torch", "flex", "triton", "triton-int8"]
"""Of the block-sparse self-attention."""
CrossBackend = Literal["auto", "torch", "sageattention"]
"""Of the dense cross-attention to the prompt."""

Capability = tuple[int, int]
_HALF = (torch.float16, torch.bfloat16)
_ANY = (*_HALF, torch.float32)
_BF16_FROM = (8, 0)


@dataclass(frozen=True, slots=True)
class Needs:
    """What one backend needs.

    about: one line for a person. devices: kinds of device. capability: the least, of CUDA devices. head_dims: those
    allowed; none for any. package: to be installed, for `package_on` only. compiler: of C++, on a CPU.
    """

    name: str
    about: str
    devices: tuple[str, ...] = ("cuda",)
    dtypes: tuple[torch.dtype, ...] = _HALF
    capability: Capability = (0, 0)
    head_dims: tuple[int, ...] = ()
    package: str = ""
    package_on: tuple[str, ...] = ("cuda",)
    compiler: bool = False

    def available(self, device: torch.device, dtype: torch.dtype, head_dim: int) -> str | None:
        """None if it runs there, else the reason why not, as a clause such as "it needs a cuda device, not cpu"."""
        return next(self._lacks(device, dtype, head_dim), None)

    def _lacks(self, device: torch.device, dtype: torch.dtype, head_dim: int) -> Iterator[str]:
        if device.type not in self.devices:
            yield f"it needs a {' or '.join(self.devices)} device, not {device.type}"
            return
        if dtype not in self.dtypes:
            yield f"it computes in {_names(self.dtypes)}, not {_names((dtype,))}"
        if self.head_dims and head_dim not in self.head_dims:
            yield f"it takes heads of {' or '.join(map(str, self.head_dims))}, not {head_dim}"
        if self.package and device.type in self.package_on and not installed(self.package):
            yield f"the package {self.package} is not installed"
        if device.type == "cpu" and self.compiler and not (which("g++") or which("clang++")):
            yield "it needs a C++ compiler, g++ or clang++, and there is none on the PATH"
        if device.type == "cuda" and self.capability > (0, 0):
            if torch.version.hip is not None:
                yield "it needs an NVIDIA device"
                return
            least = max(self.capability, _BF16_FROM) if dtype is torch.bfloat16 else self.capability
            found = torch.cuda.get_device_capability(device)
            if found < least:
                wanted, has = (".".join(map(str, version)) for version in (least, found))
                yield f"in {_names((dtype,))} it needs compute capability {wanted}, and the device has {has}"


SPARSE = (
    Needs(
        "triton",
        "block-sparse kernel of this package; float32 exact, without TF32",
        dtypes=_ANY,
        capability=(7, 5),
        head_dims=(64, 128),
        package="triton",
    ),
    Needs(
        "triton-int8",
        "the same with products of queries and keys in 8 bits: less exact, about 37 dB on noise",
        capability=(8, 0),
        head_dims=(64, 128),
        package="triton",
    ),
    Needs(
        "flex",
        "torch's FlexAttention, compiled at its first use",
        devices=("cuda", "cpu"),
        dtypes=_ANY,
        capability=(7, 5),
        head_dims=(16, 32, 64, 128, 256),
        package="triton",
        compiler=True,
    ),
    Needs("torch", "plain torch: the reference, on any device", devices=("cuda", "cpu"), dtypes=_ANY),
)
DENSE = (
    Needs("torch", "torch's scaled_dot_product_attention", devices=("cuda", "cpu"), dtypes=_ANY),
    Needs(
        "sageattention",
        "SageAttention, with products of queries and keys in 8 bits; a little less exact",
        capability=(8, 0),
        head_dims=(64, 128),
        package="sageattention",
    ),
)
_AUTO = ("triton", "torch")
"""What "auto" tries, in this order: only what gives the reference's result to within rounding."""
_TENSOR_CORES_FROM = (8, 0)
"""Triton multiplies without tensor cores below it: the plain gathers of "torch" use them."""


class Availability(NamedTuple):
    """One backend on one device. reason: why it is not available, or None. chosen: whether "auto" takes it."""

    name: str
    about: str
    reason: str | None
    chosen: bool


def resolve(backend: Backend, device: torch.device, dtype: torch.dtype, head_dim: int) -> str:
    """The name of the sparse backend that a choice means there; ConfigError if it is not available."""
    return _resolve("attention backend", SPARSE, backend, device, dtype, head_dim)


def resolve_dense(backend: CrossBackend, device: torch.device, dtype: torch.dtype, head_dim: int) -> str:
    """The name of the dense backend that a choice means there; ConfigError if it is not available."""
    return _resolve("cross-attention backend", DENSE, backend, device, dtype, head_dim)


def availability(device: torch.device, dtype: torch.dtype, head_dim: int) -> dict[str, list[Availability]]:
    """All backends on a device, of the attentions "sparse" and "dense"."""
    kinds = {"sparse": SPARSE, "dense": DENSE}
    return {kind: _availability(table, device, dtype, head_dim) for kind, table in kinds.items()}


def _availability(
    table: tuple[Needs, ...], device: torch.device, dtype: torch.dtype, head_dim: int
) -> list[Availability]:
    reasons = {needs.name: needs.available(device, dtype, head_dim) for needs in table}
    auto = next(name for name in _AUTO if name in reasons and reasons[name] is None and _pays(name, device, dtype))
    return [Availability(needs.name, needs.about, reasons[needs.name], needs.name == auto) for needs in table]


def _pays(name: str, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether "auto" should take an available backend: Triton only where the tensor cores serve it."""
    if name != "triton":
        return True
    return dtype in _HALF and torch.cuda.get_device_capability(device) >= _TENSOR_CORES_FROM


def _resolve(
    what: str, table: tuple[Needs, ...], backend: str, device: torch.device, dtype: torch.dtype, head_dim: int
) -> str:
    known = _availability(table, device, dtype, head_dim)
    if backend == "auto":
        return next(one.name for one in known if one.chosen)
    here = "auto, " + ", ".join(one.name for one in known if one.reason is None)
    chosen = next((one for one in known if one.name == backend), None)
    if chosen is None:
        raise ConfigError(f"{what} is {backend!r}; allowed here: {here}.")
    if chosen.reason is not None:
        raise ConfigError(f"{what} is {backend!r}, which is not available: {chosen.reason}; allowed here: {here}.")
    return chosen.name


def _names(dtypes: tuple[torch.dtype, ...]) -> str:
    return " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
