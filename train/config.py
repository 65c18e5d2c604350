"""The settings of a training run, read from a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes of the network. projector: its two widths. decoder: channels at 1/8, 1/4, 1/2 and full size."""

    projector: tuple[int, int]
    dim: int
    heads: int
    blocks: int
    ffn: int
    text: int
    freq: int
    prompt_tokens: int
    decoder: tuple[int, int, int, int]
    slope: float


@dataclass(frozen=True, slots=True)
class DataConfig:
    """What clips are made of. Shares are in [0, 1], max_speed in output pixels a frame, crop in output pixels.

    graphics: drawn pictures beside the photographs.
    """

    held_out: int
    crop: int
    batch: int
    max_speed: float
    static: float
    patch: float
    degraded: float
    half_size: float
    graphics: int


@dataclass(frozen=True, slots=True)
class OptimConfig:
    """Muon for matrices and convolutions, AdamW for the rest.

    accumulate: (part of the run, batches to a step), in rising order of the part, the first at 0.
    """

    muon_lr: float
    momentum: float
    adam_lr: float
    betas: tuple[float, float]
    warmup_steps: int
    clip: float
    ema: float
    accumulate: tuple[tuple[float, int], ...]

    def batches(self, progress: float) -> int:
        """Batches to a step at this part of the run."""
        return [count for start, count in self.accumulate if start <= progress][-1]


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Charbonnier with this epsilon (of values in [0, 1]) + temporal * L1 of frame differences."""

    epsilon: float
    temporal: float


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A whole run. frames: LQ frames of a clip, 25 + 8 n. scales: of the super-resolution, each batch the next."""

    seed: int
    frames: int
    scales: tuple[int, ...]
    model: ModelConfig
    data: DataConfig
    optim: OptimConfig
    loss: LossConfig

    @property
    def latents(self) -> int:
        """Latents of a clip."""
        return (self.frames - 1) // 4


def read_config(path: Path) -> TrainConfig:
    """Read a configuration. ValueError names an entry that is missing or unknown."""
    with path.open("rb") as file:
        table = tomllib.load(file)
    parts: dict[str, type[Any]] = {"model": ModelConfig, "data": DataConfig, "optim": OptimConfig, "loss": LossConfig}
    built: dict[str, Any] = {
        name: _build(kind, table.get(name, {}), f"{path} [{name}]") for name, kind in parts.items()
    }
    return _build(TrainConfig, table | built, str(path))


def _build(kind: type[T], table: dict[str, Any], where: str) -> T:
    expected = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if table.keys() != expected:
        differing = ", ".join(sorted(table.keys() ^ expected))
        raise ValueError(f"{where}: missing or unknown entries: {differing}.")
    return kind(**{name: _frozen(value) for name, value in table.items()})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
