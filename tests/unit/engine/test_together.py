"""Several sessions in one step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from flashvsr_engine import FlashVSREngine, SessionStateError, feed
from flashvsr_engine.chunk import run_chunk
from flashvsr_engine.model import LQProjector
from flashvsr_engine.state import StreamState
from flashvsr_engine.stream import Stream
from torch import Tensor

SIZE = (32, 24)


def film(seed: int, frames: int) -> npt.NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, (1, *SIZE[::-1], 3))
    return ((noise + 3 * np.arange(frames)[:, None, None, None]) % 256).astype(np.uint8)


def alone(engine: FlashVSREngine, frames: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.uint8]:
    with engine.open(*SIZE, seed=seed) as session:
        return np.concatenate([session.push(frames), session.finish()])


def test_streams_that_began_at_different_times_are_what_each_is_alone(engine: FlashVSREngine) -> None:
    films = [film(seed, frames) for seed, frames in ((1, 60), (2, 44), (3, 61))]
    sessions = [engine.open(*SIZE, seed=seed) for seed in range(3)]
    made = [[session.push(f[:start])] for session, f, start in zip(sessions, films, (41, 25, 50), strict=True)]
    rest = [f[start:] for f, start in zip(films, (41, 25, 50), strict=True)]
    for cut in (slice(0, 9), slice(9, 10), slice(10, 30)):
        outs = engine.step_many(sessions, [r[cut] for r in rest])
        for kept, out in zip(made, outs, strict=True):
            kept.append(np.asarray(out))
    for seed, (session, kept, frames) in enumerate(zip(sessions, made, films, strict=True)):
        found = np.concatenate([*kept, session.finish()])
        difference = np.abs(found.astype(int) - alone(engine, frames, seed))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 1e-3


def test_all_that_runs_has_its_device_as_the_current_one(
    engine: FlashVSREngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    within, seen = list[torch.device](), set[bool]()
    forward = LQProjector.forward

    @contextmanager
    def noted(device: torch.device) -> Iterator[None]:
        within.append(device)
        yield
        within.pop()

    def watched(self: LQProjector, *given: Any) -> Any:
        seen.add(within == [engine.device])
        return forward(self, *given)

    monkeypatch.setattr(feed, "current", noted)
    monkeypatch.setattr(LQProjector, "forward", watched)
    sessions = [engine.open(*SIZE, seed=seed) for seed in range(2)]
    sessions[0].push(film(0, 33))
    engine.step_many(sessions, [film(0, 8), film(1, 41)])
    engine.step_many(sessions, [film(0, 8), film(1, 8)])
    assert seen == {True}


def test_a_batch_is_run_and_states_stay_apart(engine: FlashVSREngine, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = list[int]()
    forward = LQProjector.forward

    def counted(self: LQProjector, lq: Tensor, *rest: Any) -> Any:
        batches.append(len(lq))
        return forward(self, lq, *rest)

    monkeypatch.setattr(LQProjector, "forward", counted)
    sessions = [engine.open(*SIZE, seed=seed) for seed in range(3)]
    engine.step_many(sessions, [film(seed, 33) for seed in range(3)])
    batches.clear()
    before = [session.state.nbytes for session in sessions]
    engine.step_many(sessions, [film(seed, 8 * (seed != 1)) for seed in range(3)])
    assert batches == [2]
    assert [session.state.nbytes for session in sessions] == before
    storages = [{t.untyped_storage().data_ptr() for t in session.state.on_device()} for session in sessions]
    assert not (storages[0] & storages[1] | storages[0] & storages[2])


def test_other_sizes_run_beside_them(engine: FlashVSREngine) -> None:
    small, large = engine.open(*SIZE), engine.open(48, 24)
    wide = np.zeros((33, 24, 48, 3), np.uint8)
    outs = engine.step_many([small, large], [film(0, 33), wide])
    assert [out.shape for out in outs] == [(29, 48, 64, 3), (29, 48, 96, 3)]


def test_a_closed_session_or_one_given_twice_is_refused_before_anything_runs(engine: FlashVSREngine) -> None:
    one, two = engine.open(*SIZE), engine.open(*SIZE)
    with pytest.raises(SessionStateError, match="twice"):
        engine.step_many([one, one], [film(0, 1)] * 2)
    two.close()
    with pytest.raises(SessionStateError, match="closed"):
        engine.step_many([one, two], [film(0, 1)] * 2)
    assert one.frames_in == 0


def test_warming_up_runs_long_and_short_chunks(engine: FlashVSREngine, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = list[int]()

    def counted(stream: Stream, state: StreamState, frames: Tensor) -> Tensor:
        ran.append(len(frames))
        return run_chunk(stream, state, frames)

    monkeypatch.setattr(feed, "run_chunk", counted)
    engine.warmup(engine.plan(*SIZE))
    assert ran == [25, 8, 8]
    with engine.open(*SIZE) as session:
        assert len(session.push(film(0, 25))) == 21
