"""What a device can do at most, measured, and what a chunk asks of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from flashvsr_engine.geometry import Geometry

from bench.published import DIT, PROJECTOR, TCDECODER


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a matrix product, 8192 cubed on a GPU, 1024 on a CPU."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    return 2.0 * size**3 / seconds(lambda: a @ b, device)


def copy_rate(device: torch.device) -> float:
    """Bytes/s, read and written, of a copy within the device's memory."""
    size = 1 << (31 if device.type == "cuda" else 28)
    a, b = torch.zeros(2, size, dtype=torch.uint8, device=device)
    return 2 * size / seconds(lambda: b.copy_(a), device)


def seconds(call: Callable[[], object], device: torch.device, repeats: int = 10) -> float:
    """The median of some calls; by the device's events where it has them."""
    times = list[float]()
    for _ in range(repeats + 3):
        if device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) / 1000)
        else:
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
    return sorted(times[3:])[repeats // 2]


def work(geometry: Geometry) -> dict[str, float]:
    """FLOP of a chunk of 8 frames in the published sizes, by stage of `stages`; attention depends on the mask."""
    pixels = geometry.padded_height * geometry.padded_width
    places = pixels // 256
    conv1, conv2 = 768 * PROJECTOR.hidden1 * 36, PROJECTOR.hidden1 * PROJECTOR.hidden2 * 36
    c0, c1, c2, c3 = TCDECODER.channels
    latent = 784 * c0 + c0 * c0 + 3 * 4 * c0 * c0  # input channels times output channels of each 3x3 convolution
    quarter, half, full = c0 * c1 + 3 * 4 * c1 * c1, c1 * c2 + 3 * 4 * c2 * c2, c2 * c3 + c3 * c3 + 3 * c3
    decoder = 2.0 * 9 * pixels * (2 * latent / 64 + 2 * quarter / 16 + 4 * half / 4 + 8 * full)
    return {
        "projector": 2 * places * (4 * conv1 + 2 * conv2),
        "DiT linears": 2 * 2 * places * DIT.blocks * (6 * DIT.dim**2 + 2 * DIT.dim * DIT.ffn),
        "decoder": decoder,
    }
