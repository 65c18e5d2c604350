"""An engine that breaks on request: the first pixels of a chunk say how. For flashvsr-serve by its engine_factory."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from flashvsr_handler.model import LoadedModel
from flashvsr_handler.protocols import Output, Pictures
from flashvsr_handler.settings import Settings

from tests.unit.handler.fake_engine import FakeEngine, FakeSession

RAISE, CUDA, HANG, WAIT = 251, 252, 253, 254
MARKED = 8
WAIT_S = 2.0


@dataclass
class FaultySession(FakeSession):
    """Does what the first pixels say."""

    def push(self, frames: Pictures) -> Pictures:
        mark = frames[0, 0, :MARKED, 0] if len(frames) else np.zeros(1)
        if (mark == RAISE).all():
            raise ValueError("broken on purpose")
        if (mark == CUDA).all():
            raise RuntimeError("CUDA error: an illegal memory access was encountered (on purpose)")
        if (mark == HANG).all():
            time.sleep(3600)
        if (mark == WAIT).all():
            time.sleep(WAIT_S)
        return super().push(frames)


class FaultyEngine(FakeEngine):
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
    ) -> FakeSession:
        return FaultySession(scale or 4, seed, (width, height))


def load(settings: Settings, gpu: int | None) -> LoadedModel:
    return LoadedModel(FaultyEngine(), "cpu", 10**9)
