"""What a user chooses, checked when it is chosen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Literal, get_args

from flashvsr_engine.errors import ConfigError
from flashvsr_engine.kernels import Backend, CrossBackend
from flashvsr_engine.memory import parse_bytes
from flashvsr_engine.model import ProjectorVersion

Mode = Literal["tiny", "tiny-long", "full"]
Precision = Literal["auto", "bf16", "fp16", "fp32"]
ColorFix = Literal["adain", "wavelet", "none"]

SCALES = (2, 3, 4)
TILE_SIZES = (32, 1024)
TILE_OVERLAPS = (8, 512)
"""Smallest and largest, in pixels of the input."""
REFERENCE_PIXELS = 768 * 1280
"""Output size at which topk_ratio equals sparse_ratio."""


def require(name: str, value: object, allowed: Collection[object]) -> None:
    """Raise ConfigError unless the value is one of the allowed ones."""
    if value not in allowed:
        choices = ", ".join(str(choice) for choice in allowed)
        raise ConfigError(f"{name} is {value!r}; allowed: {choices}.")


def _require_range(name: str, value: float, low: float, high: float) -> None:
    if not (isfinite(value) and low <= value <= high):
        raise ConfigError(f"{name} is {value!r}; allowed: {low:g} to {high:g}.")


@dataclass(frozen=True, slots=True)
class AttentionConfig:
    """Locality-constrained sparse attention.

    sparse_ratio: more attends to more; scaled by the output's size. topk_ratio: kept (query, key) pairs over the
    square of a slice's blocks; when given, used as it is in place of sparse_ratio. kv_ratio: how many slices of 2
    latents (8 frames) of the past are seen; its whole part counts. local_range: blocks at most local_range // 2
    rows and columns away are seen; a model may have been trained with less, which then holds. block_kv: 128 as
    published, 64 attends to half the keys. backend: which kernel.
    """

    sparse_ratio: float = 2.0
    topk_ratio: float | None = None
    kv_ratio: float = 3.0
    local_range: int = 11
    block_kv: int = 128
    backend: Backend = "auto"
    cross_backend: CrossBackend = "auto"

    def __post_init__(self) -> None:
        _require_range("sparse_ratio", self.sparse_ratio, 0.01, 1000)
        if self.topk_ratio is not None:
            _require_range("topk_ratio", self.topk_ratio, 0.001, 1000)
        _require_range("kv_ratio", self.kv_ratio, 1, 64)
        _require_range("local_range", self.local_range, 1, 1001)
        require("block_kv", self.block_kv, (128, 64))
        require("backend", self.backend, get_args(Backend))
        require("cross_backend", self.cross_backend, get_args(CrossBackend))

    @property
    def kv_slices(self) -> int:
        """Slices of the past that are kept."""
        return int(self.kv_ratio)

    def topk(self, blocks: int, pixels: int) -> int:
        """The budget of (query, key) pairs for slices of `blocks` blocks and outputs of `pixels` pixels."""
        ratio = self.sparse_ratio * REFERENCE_PIXELS / pixels if self.topk_ratio is None else self.topk_ratio
        return max(int(blocks * blocks * ratio) - 1, 0)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """An engine: which weights, where, and how.

    weights: "builtin" or a folder in the published layout. mode: tiny; tiny-long, which decodes the same picture in
    smaller steps; or full, which decodes with the Wan VAE. version: of the LQ projector; None reads it from the
    folder's manifest. scale: 2, 3 or 4, unless a session names another. precision: "auto" is bf16 where the device
    computes in it, else fp32; with bf16 the TCDecoder computes in float16 on CUDA. device: "auto" is the first CUDA
    device, else the CPU. color_fix: how output colours are tied to the input's. seed: of the noise, unless a session
    names another.

    memory_limit: what one stream and the weights may take of the device: bytes, "8GiB", "auto" (what is free when a
    stream is planned) or None. A stream that would take more works in smaller steps, first in those that leave the
    picture as it is; `FlashVSREngine.plan` says which. These ask for such steps whatever the limit:
    tiled_dit: the DiT works in tiles of tile_size input pixels that overlap by tile_overlap, with adaptive_batch_size
    as many at once as fit, else one. tiled_vae: the decoder works in bands about tile_size input pixels high.
    unload_dit: the DiT's weights leave the device while the decoder works.

    cuda_graphs: chunks are recorded and replayed where there is room for it, which spares the host a thousand launches.
    """

    weights: str | Path = "builtin"
    mode: Mode = "tiny"
    version: ProjectorVersion | None = None
    scale: int = 4
    precision: Precision = "auto"
    device: str = "auto"
    attention: AttentionConfig = field(default_factory=AttentionConfig)
    color_fix: ColorFix = "adain"
    seed: int = 0
    memory_limit: int | str | None = "auto"
    tiled_dit: bool = False
    tile_size: int = 256
    tile_overlap: int = 24
    tiled_vae: bool = False
    unload_dit: bool = False
    adaptive_batch_size: bool = False
    cuda_graphs: bool = True

    def __post_init__(self) -> None:
        require("mode", self.mode, get_args(Mode))
        require("version", self.version, (*get_args(ProjectorVersion), None))
        require("scale", self.scale, SCALES)
        require("precision", self.precision, get_args(Precision))
        require("color_fix", self.color_fix, get_args(ColorFix))
        require_seed(self.seed)
        require_tiles(self.tile_size, self.tile_overlap)
        if self.memory_limit not in (None, "auto"):
            parse_bytes(self.memory_limit)


def require_seed(seed: int) -> None:
    """Raise ConfigError unless the seed is an unsigned 64-bit integer."""
    if not 0 <= seed < 1 << 64:
        raise ConfigError(f"seed is {seed}; allowed: 0 to 2^64 - 1.")


def require_tiles(size: int, overlap: int) -> None:
    """Raise ConfigError unless tiles of `size` input pixels that overlap by `overlap` can be laid."""
    for name, value, (low, high) in (("tile_size", size, TILE_SIZES), ("tile_overlap", overlap, TILE_OVERLAPS)):
        if not low <= value <= high:
            raise ConfigError(f"{name} is {value}; allowed: {low} to {high} pixels of the input.")
    if overlap > size // 2:
        raise ConfigError(f"tile_overlap is {overlap}; allowed with tile_size {size}: at most half of it, {size // 2}.")
