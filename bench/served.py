"""An engine of the published sizes with random weights for a server: `FLASHVSR_ENGINE_FACTORY=bench.served:load`."""

from __future__ import annotations

from typing import cast

from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_engine.devices import resolve_device
from flashvsr_engine.memory import free_bytes
from flashvsr_handler import on_device
from flashvsr_handler.model import SHARE_OF_FREE, LoadedModel
from flashvsr_handler.protocols import Engine
from flashvsr_handler.settings import Settings

from bench import published


def load(settings: Settings, gpu: int | None) -> LoadedModel:
    """Give the engine to the server; on the device that it assigned, if any."""
    device = resolve_device("auto" if gpu is None or gpu < 0 else f"cuda:{gpu}")
    budget = settings.state_bytes_budget or int(free_bytes(device) * SHARE_OF_FREE)
    network = published.network(full=False, device=device, seed=0)
    engine = FlashVSREngine.of(EngineConfig(device=str(device)), network)
    return LoadedModel(cast("Engine", engine), str(device), budget, source_of=on_device.source_on(str(device)))
