"""What NVML says of the worker's GPU, where the package nvidia-ml-py and a driver are; else nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flashvsr_handler.metrics import Metric

Levels = dict[Metric, float]


def gauge(device: str, uuid: str | None) -> Callable[[], Levels]:
    """Give a function that reads the memory and use of the GPU with that UUID, as torch says it; {} on a CPU."""
    if not device.startswith("cuda") or uuid is None:
        return dict
    try:
        import pynvml  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return dict
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode())
    except pynvml.NVMLError:
        return dict
    return lambda: _levels(pynvml, handle)


def _levels(nvml: Any, handle: Any) -> Levels:
    levels: Levels = {}
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        levels[Metric.GPU_MEMORY_USED] = float(memory.used)
        levels[Metric.GPU_MEMORY_TOTAL] = float(memory.total)
        levels[Metric.GPU_UTILIZATION] = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except nvml.NVMLError:  # a part of a GPU (MIG) has no utilisation of its own
        return levels
    return levels
