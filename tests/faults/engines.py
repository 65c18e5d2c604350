"""An engine that breaks on demand: the first byte of the first picture of a chunk says how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flashvsr_handler.model import LoadedModel
from flashvsr_handler.protocols import Output, Pictures
from flashvsr_handler.settings import Settings

from bench.waiting import WaitingEngine, WaitingSession, load

EXCEPTION: Final = 201
DEVICE: Final = 202


class BreakingSession(WaitingSession):
    """Raises what the pictures ask for."""

    def push(self, frames: Pictures) -> Pictures:
        mark = int(frames[0, 0, 0, 0])
        if mark == EXCEPTION:
            raise ZeroDivisionError("asked for by a test")
        if mark == DEVICE:
            raise RuntimeError("CUDA error: an illegal memory access was encountered (asked for by a test)")
        return super().push(frames)


@dataclass
class BreakingEngine(WaitingEngine):
    """Opens such sessions."""

    def open(
        self,
        width: int,
        height: int,
        scale: int | None = None,
        seed: int | None = None,
        *,
        output: Output = "uint8",
        first_frame: int = 0,
    ) -> BreakingSession:
        return BreakingSession(self.plan(width, height, scale), self.fps, seed or 0)


def breaking(settings: Settings, gpu: int | None) -> LoadedModel:
    """For FLASHVSR_ENGINE_FACTORY."""
    loaded = load(settings, gpu)
    return LoadedModel(BreakingEngine(600.0), loaded.device, loaded.budget_bytes, loaded.park_bytes)
