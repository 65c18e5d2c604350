"""The engine that the settings ask for, on its device, with the memory that its sessions may take."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import psutil  # type: ignore[import-untyped]
import torch
from flashvsr_engine import FlashVSREngine, engine_config
from flashvsr_engine.devices import keep_freed_memory

from flashvsr_handler import gpu, on_device
from flashvsr_handler.chunks import SourceOf, engine_itself
from flashvsr_handler.gpu import Levels
from flashvsr_handler.protocols import Engine
from flashvsr_handler.settings import Settings, SettingsError
from flashvsr_handler.size import Size
from flashvsr_handler.warm import SMALL, warm

SHARE_OF_FREE: Final = 0.8
SHARE_TO_PARK: Final = 0.25
ENGINE_SETTINGS: Final = (
    *("weights", "version", "mode", "device", "precision", "memory_limit", "color_fix", "seed"),
    *("tiled_dit", "tile_size", "tile_overlap", "tiled_vae", "unload_dit", "adaptive_batch_size"),
    *("sparse_ratio", "kv_ratio", "local_range", "attention_mode", "attention_backend", "cross_backend"),
)
"""Those that are the engine's knobs, under the same names."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """An engine that is ready, on its device."""

    engine: Engine
    device: str
    budget_bytes: int
    """For weights, states and one chunk's work."""
    park_bytes: int = 0
    """Of host memory, for sessions that are parked."""
    gauge: Callable[[], Levels] = dict
    """Reads what the device says of itself."""
    source_of: SourceOf = engine_itself
    """From what a session's frames are taken."""


def load(settings: Settings, gpu_index: int | None) -> LoadedModel:
    """Load the weights; ``gpu_index`` is the device that TorchServe assigned, if any, for ``device`` "auto".

    ``engine_factory`` in the settings, "module:function", gives another engine for the same arguments. Raises the
    engine's ConfigError, WeightsError or DeviceError.
    """
    make = _made_by(settings.engine_factory) if settings.engine_factory else _flashvsr
    model = make(settings, gpu_index)
    for size in settings.warm_up_sizes:
        warm(model.engine, Size.read(size))
    return model


def _flashvsr(settings: Settings, gpu_index: int | None) -> LoadedModel:
    assigned = settings.device == "auto" and gpu_index is not None and gpu_index >= 0 and torch.cuda.is_available()
    chosen = {name: getattr(settings, name) for name in ENGINE_SETTINGS}
    if assigned:
        chosen["device"] = f"cuda:{gpu_index}"
    config = engine_config(**chosen)
    free = _free_bytes(config.device)
    engine = FlashVSREngine.load(config)
    if engine.device.type == "cpu":
        keep_freed_memory()
    if settings.warm_up:
        warm(cast("Engine", engine), SMALL, chunks=0)
    budget = settings.state_bytes_budget or int(free * SHARE_OF_FREE)
    # The engine also takes and gives tensors; for arrays it gives arrays, which is all that the protocol says.
    device = str(engine.device)
    park = settings.park_bytes_budget or int(psutil.virtual_memory().available * SHARE_TO_PARK)
    gauge = gpu.gauge(device, _uuid(engine.device))
    return LoadedModel(cast("Engine", engine), device, budget, park, gauge, on_device.source_on(device))


def _uuid(device: torch.device) -> str | None:
    return str(torch.cuda.get_device_properties(device).uuid) if device.type == "cuda" else None


def _made_by(factory: str) -> Callable[[Settings, int | None], LoadedModel]:
    module, _, name = factory.partition(":")
    try:
        made: Callable[[Settings, int | None], LoadedModel] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"engine_factory {factory!r} cannot be used ({error}): give module:function.") from error
    return made


def _free_bytes(device: str) -> int:
    if torch.cuda.is_available() and device != "cpu":
        return int(torch.cuda.mem_get_info(None if device == "auto" else device)[0])
    return int(psutil.virtual_memory().available)
