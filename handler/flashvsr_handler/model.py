"""The engine that the settings ask for, on its device, with the memory that its sessions may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import psutil  # type: ignore[import-untyped]
import torch
from flashvsr_engine import FlashVSREngine, engine_config
from flashvsr_engine.devices import keep_freed_memory

from flashvsr_handler.protocols import Engine
from flashvsr_handler.settings import Settings

WARM_UP_SIDE: Final = 32
SHARE_OF_FREE: Final = 0.8
ENGINE_SETTINGS: Final = (
    *("weights", "version", "mode", "device", "precision", "memory_limit", "color_fix", "seed"),
    *("tiled_dit", "tile_size", "tile_overlap", "tiled_vae", "unload_dit", "adaptive_batch_size"),
    *("sparse_ratio", "kv_ratio", "local_range", "attention_mode", "attention_backend", "cross_backend"),
)
"""Those that are the engine's knobs, under the same names."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """An engine that is ready, the name of its device, and the bytes for weights, states and one chunk's work."""

    engine: Engine
    device: str
    budget_bytes: int


def load(settings: Settings, gpu: int | None) -> LoadedModel:
    """Load the weights; ``gpu`` is the device that TorchServe assigned, if any, for ``device`` "auto".

    Raises the engine's ConfigError, WeightsError or DeviceError.
    """
    assigned = settings.device == "auto" and gpu is not None and gpu >= 0 and torch.cuda.is_available()
    chosen = {name: getattr(settings, name) for name in ENGINE_SETTINGS}
    if assigned:
        chosen["device"] = f"cuda:{gpu}"
    config = engine_config(**chosen)
    free = _free_bytes(config.device)
    engine = FlashVSREngine.load(config)
    if engine.device.type == "cpu":
        keep_freed_memory()
    if settings.warm_up:
        _warm_up(engine)
    budget = settings.state_bytes_budget or int(free * SHARE_OF_FREE)
    # The engine also takes and gives tensors; for arrays it gives arrays, which is all that the protocol says.
    return LoadedModel(cast("Engine", engine), str(engine.device), budget)


def _free_bytes(device: str) -> int:
    if torch.cuda.is_available() and device != "cpu":
        return int(torch.cuda.mem_get_info(None if device == "auto" else device)[0])
    return int(psutil.virtual_memory().available)


def _warm_up(engine: FlashVSREngine) -> None:
    """Run one chunk on a small picture: kernels get compiled and libraries loaded before the first client waits."""
    plan = engine.plan(WARM_UP_SIDE, WARM_UP_SIDE)
    with engine.open(WARM_UP_SIDE, WARM_UP_SIDE) as session:
        session.push(np.zeros((plan.first_chunk, WARM_UP_SIDE, WARM_UP_SIDE, 3), np.uint8))
