"""Which device, and which precision on it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from flashvsr_engine.config import Precision
from flashvsr_engine.errors import ConfigError, DeviceError

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _INT_MAX = -1, -4, 2**31 - 1  # of malloc.h

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def resolve_device(name: str) -> torch.device:
    """The device of a name; "auto" is the first CUDA device, else the CPU. DeviceError if it is absent."""
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device is {name!r}; allowed: auto, cpu, cuda, cuda:0, cuda:1, ....") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device is {name!r}; allowed: auto, cpu, cuda, cuda:0, cuda:1, ....")
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise DeviceError(
                f"device {name!r} is absent: this machine shows {count} CUDA devices; use 'auto' or 'cpu'."
            )
        return torch.device("cuda", device.index or 0)
    return device


def all_devices() -> list[str]:
    """Every CUDA device of this machine, or the CPU where there is none."""
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cpu"]


@contextmanager
def current(device: torch.device) -> Iterator[None]:
    """Make it this thread's device within the block.

    torch goes to the device of its tensors by itself; kernels of Triton start on the thread's, which is the first one
    until something else is said, whatever device their tensors are on.
    """
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        yield


def resolve_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The type that weights and activations have; "auto" is bf16 where the device computes in it, else float32."""
    if precision == "auto":
        precision = "bf16" if computes_bf16(device) else "fp32"
    return _DTYPES[precision]


def decoder_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """The type of the TCDecoder beside a network of `dtype`: float16 in place of bfloat16 on CUDA, at the same speed.

    What the decoder computes lies within a few units of zero, where float16 has three bits more: the picture comes
    8 dB nearer to float32 (bench/RESULTS.md).
    """
    return torch.float16 if dtype is torch.bfloat16 and device.type == "cuda" else dtype


def computes_bf16(device: torch.device) -> bool:
    """Whether bf16 is arithmetic of the device, not an emulation."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    ask = getattr(torch.cpu, "get_capabilities", None)  # absent before torch 2.10: then float32, always right
    capabilities = ask() if ask else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for the next chunk; return whether the C library can.

    glibc gives large blocks back to the kernel at once and gets them zeroed again, page by page: a third of the time
    of a chunk on a CPU (bench/RESULTS.md). It is for the program to choose, so the engine itself never calls this.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _INT_MAX))


@contextmanager
def exact(dtype: torch.dtype) -> Iterator[None]:
    """Within it, float32 means float32, the same at every run.

    cuDNN rounds the operands of convolutions to TF32 unless told not to, and may sum in the order that threads
    come in.
    """
    if dtype is not torch.float32:
        yield
        return
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic
    cudnn.allow_tf32, cudnn.deterministic = False, True
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.deterministic = before
