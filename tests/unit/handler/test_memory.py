"""That a session which ends, or is parked, gives its memory back: tensors counted, on the real engine."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_handler.protocols import Pictures
from flashvsr_handler.service import Service
from flashvsr_handler.settings import Settings
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.unit.engine.live_memory import LiveMemory

WEIGHTS = Path(__file__).parents[2] / "golden" / "weights"
SIZE = 64
Measure = Callable[[], int]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def pictures(count: int) -> Pictures:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)


def served(device: str, clock: Clock, **options: float) -> Service:
    engine = FlashVSREngine.load(EngineConfig(weights=str(WEIGHTS), version="1.1", device=device, precision="fp32"))
    settings = Settings(idle_timeout_s=60, **options)  # type: ignore[arg-type]
    return Service(engine, device, 1 << 33, settings, clock, 1 << 30)


def ask(service: Service, **body: object) -> list[pb.StreamResponse]:
    request = pb.StreamRequest(protocol_version=1, **body)  # type: ignore[arg-type]
    answers = list(service.handle(request.SerializeToString(), many=True))
    assert answers[-1].WhichOneof("body") != "error", answers[-1]
    return answers


def started(service: Service) -> str:
    session = ask(service, open=pb.Open(width=SIZE, height=SIZE, scale=2))[0].session_id
    ask(service, session_id=session, frames=wire.encode(pictures(25)))
    return session


def check(service: Service, clock: Clock, live: Measure) -> None:
    before = live()
    plan = service.parking.engine.plan(SIZE, SIZE, 2)
    started(service)
    one = live() - before
    assert 0.8 * plan.state_bytes < one < 1.2 * plan.state_bytes
    clock.now += 61
    service.housekeep()
    assert service.store.counters.expired == 1
    assert live() == before  # the reaper frees all of it

    over = started(service)
    ask(service, session_id=over, chunk_index=1, flush=pb.Flush())
    answers = 33 * (2 * SIZE) ** 2 * 3  # kept in host memory, which on a CPU is counted here
    assert live() - before <= answers < one  # a stream that is over holds nothing else
    ask(service, session_id=over, close=pb.Close())
    assert live() == before


def test_the_reaper_frees_a_silent_sessions_memory() -> None:
    clock = Clock()
    service = served("cpu", clock)
    with LiveMemory() as memory:

        def live() -> int:
            gc.collect()
            return int(memory.live)

        check(service, clock, live)


def test_a_parked_session_goes_on_with_the_same_frames() -> None:
    clock = Clock()
    service, frames = served("cpu", clock, park_after_s=5.0), pictures(41)
    outputs = []
    for park in (False, True):
        session = started(service)
        if park:
            clock.now += 6
            service.housekeep()
            assert service.store.counters.parked == 1
            assert service.store.snapshots_bytes() > 0
        answers = ask(service, session_id=session, chunk_index=1, frames=wire.encode(frames[25:]))
        answers += ask(service, session_id=session, chunk_index=2, flush=pb.Flush())
        ask(service, session_id=session, close=pb.Close())
        outputs.append(np.concatenate([wire.decode(a.frames) for a in answers if a.HasField("frames")]))
    np.testing.assert_array_equal(outputs[0], outputs[1])


EMPTY_STATE = 4096
"""Bytes of tensors without elements that a stream without state still holds; the least on CUDA is 512 each."""


@pytest.mark.gpu
def test_a_gpus_memory_is_freed_and_parked() -> None:
    clock = Clock()
    service = served("cuda:0", clock, park_after_s=5.0)
    check(service, clock, torch.cuda.memory_allocated)
    before = torch.cuda.memory_allocated()
    session = started(service)
    clock.now += 6
    service.housekeep()
    assert service.store.counters.parked == 1
    assert torch.cuda.memory_allocated() <= before + EMPTY_STATE
    ask(service, session_id=session, chunk_index=1, flush=pb.Flush())
