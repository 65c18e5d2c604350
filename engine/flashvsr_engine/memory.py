"""Amounts of memory: as people write them, and how much of it is free."""

from __future__ import annotations

import re

import psutil  # type: ignore[import-untyped]
import torch

from flashvsr_engine.errors import ConfigError

_UNITS = {"": 1, "b": 1}
_UNITS |= {f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)}
_UNITS |= {f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)}


def parse_bytes(text: str | int) -> int:
    """Bytes of "8GiB", "800 MB", "1.5gib" or a whole number. ConfigError for anything else, or for nothing."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)\s*", str(text).lower())
    unit = _UNITS.get(match[2]) if match else None
    if match is None or unit is None or float(match[1]) == 0:
        raise ConfigError(
            f"memory_limit is {text!r}; allowed: a size such as 8GiB or 800MB, auto, or None for no limit."
        )
    return int(float(match[1]) * unit)


def format_bytes(count: int) -> str:
    """A size for people: "4.38 GiB"."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count / 1024:.1f} KiB"


def free_bytes(device: torch.device) -> int:
    """Bytes that could be taken on the device now, those that torch holds in reserve included."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)
