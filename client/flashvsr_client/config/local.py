"""The engine in this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """Of the engine in this process: its knobs, each explained in docs/parameters.md.

    Values are checked by the engine, when it is loaded.
    """

    weights: str | Path = "builtin"
    """Or a folder; the community's `model_dir`."""
    version: str | None = None
    """Of the weights, "1.1" or "1.0"; None: as the folder's manifest says."""
    mode: str = "tiny"
    device: str = "auto"
    precision: str = "auto"
    memory_limit: int | str | None = "auto"
    """Bytes, "8GiB", "auto": what is free, or None: no limit."""
    tiled_dit: bool = False
    tile_size: int = 256
    """Pixels of the input."""
    tile_overlap: int = 24
    """Pixels of the input."""
    tiled_vae: bool = False
    unload_dit: bool = False
    adaptive_batch_size: bool = False
    color_fix: str | bool = "adain"
    sparse_ratio: float = 2.0
    kv_ratio: float = 3.0
    local_range: int = 11
    attention_mode: str = "block_sparse_attention"
    attention_backend: str = "auto"
    cross_backend: str = "auto"
