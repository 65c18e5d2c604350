"""Where a chunk's time goes, by torch's profiler: ranges around the parts, and kernels' names within them.

Opt-in, since profiling slows a run down; compare the shares, and the sum with the time of a run without it. What is
taken by ranges (all but linears and copies) includes the gaps in which a device waits for its host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from flashvsr_engine import FlashVSREngine, chunk, decode
from flashvsr_engine.kernels import SparseAttention
from flashvsr_engine.model import DiT, LQProjector, TCDecoder
from flashvsr_engine.model.vae import WanDecoder
from torch.profiler import ProfilerActivity, profile, record_function

_PARTS: tuple[tuple[str, Any, str], ...] = (
    ("projector", LQProjector, "forward"),
    ("DiT", DiT, "forward"),
    ("attention and mask", SparseAttention, "__call__"),
    ("mask", SparseAttention, "select"),
    ("cross attention", SparseAttention, "cross"),
    ("decoder", TCDecoder, "forward"),
    ("decoder", WanDecoder, "forward"),
    ("upscaling", chunk, "upscale"),
    ("decoding with colour", chunk, "decode"),
    ("output", decode, "finished"),
)
_LINEAR = re.compile(r"nvjet|gemm|addmm", re.IGNORECASE)
_CONVOLUTION = re.compile(r"implicit|fprop|dgrad|conv", re.IGNORECASE)
_COPY = re.compile(r"Memcpy (HtoD|DtoH)")


@contextmanager
def _ranges() -> Iterator[None]:
    """Within it each part runs in a range of its name; generators are drained within theirs."""
    with ExitStack() as stack:
        for name, owner, function in _PARTS:
            stack.enter_context(patch.object(owner, function, _ranged(name, getattr(owner, function))))
        yield


def _ranged(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with record_function(name):
            made = function(*args, **kwargs)
            return list(made) if isinstance(made, Iterator) else made

    return run


def stages(engine: FlashVSREngine, push: Callable[[], object], chunks: int) -> dict[str, float]:
    """Milliseconds of each stage of one `push`, the mean of `chunks` of them."""
    cuda = engine.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with _ranges():
        push()
        with profile(activities=activities) as profiler:
            for _ in range(chunks):
                push()
            if cuda:
                torch.cuda.synchronize()
    averages = profiler.key_averages()
    spent = {a.key: (a.device_time_total if cuda else a.cpu_time_total) / 1000 / chunks for a in averages}
    # On a GPU kernels alone: an operator has its kernels' time as well.
    kernels = [a for a in averages if str(a.device_type).endswith("CUDA") is cuda]
    own = {a.key: (a.self_device_time_total if cuda else a.self_cpu_time_total) / 1000 / chunks for a in kernels}
    return _table(spent, own)


def _table(spent: dict[str, float], own: dict[str, float]) -> dict[str, float]:
    names = [name for name, _, _ in _PARTS]
    part = {name: spent.get(name, 0.0) for name in names}
    linears = sum(ms for key, ms in own.items() if _LINEAR.search(key) and not _CONVOLUTION.search(key))
    attention = part["attention and mask"] - part["mask"] + part["cross attention"]
    inside = attention + part["mask"] + linears
    return {
        "projector": part["projector"],
        "DiT linears": linears,
        "attention": attention,
        "mask": part["mask"],
        "DiT elementwise and other": part["DiT"] - inside,
        "decoder": part["decoder"],
        "colour and upscaling": part["upscaling"] + part["decoding with colour"] - part["decoder"],
        "copies": sum(ms for key, ms in own.items() if _COPY.search(key)),
    }
