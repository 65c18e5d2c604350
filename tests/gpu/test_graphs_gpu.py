"""Sessions whose chunks are CUDA graphs, and sessions advanced together, on a CUDA device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from flashvsr_engine import AttentionConfig, EngineConfig, FlashVSREngine

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

SIZE = (64, 48)
FRAMES = 25 + 8 * 11 + 3


@pytest.fixture(scope="module", params=["bf16", "fp32"])
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def engine(precision: str, *, graphs: bool) -> FlashVSREngine:
    attention = AttentionConfig(backend="triton")  # "auto" is plain torch in float32, which cannot be recorded
    return FlashVSREngine.load(
        EngineConfig(device="cuda:0", precision=precision, attention=attention, cuda_graphs=graphs)  # type: ignore[arg-type]
    )


def film(seed: int) -> npt.NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, (1, *SIZE[::-1], 3))
    return ((noise + 3 * np.arange(FRAMES)[:, None, None, None]) % 256).astype(np.uint8)


def alone(engine: FlashVSREngine, seed: int) -> npt.NDArray[np.uint8]:
    with engine.open(*SIZE, seed=seed) as session:
        return np.concatenate([session.push(film(seed)), session.finish()])


def test_graphs_change_no_bit_whatever_the_cut_and_whoever_runs_between(precision: str) -> None:
    plain = engine(precision, graphs=False)
    expected = [alone(plain, seed) for seed in range(2)]
    recorded = engine(precision, graphs=True)
    sessions = [recorded.open(*SIZE, seed=seed) for seed in range(2)]
    made: list[list[npt.NDArray[np.uint8]]] = [[], []]
    for start in range(0, FRAMES, 13):
        for seed, session in enumerate(sessions):
            made[seed].append(session.push(film(seed)[start : start + 13]))
    for seed, session in enumerate(sessions):
        assert session.feed.graphs is not None
        assert len(session.feed.graphs._graphs) == session.state.kv.spec.capacity
        np.testing.assert_array_equal(np.concatenate([*made[seed], session.finish()]), expected[seed])


def test_a_saved_session_goes_on_from_its_graphs_state(precision: str, tmp_path: Path) -> None:
    recorded = engine(precision, graphs=True)
    with recorded.open(*SIZE, seed=1) as session:
        first = session.push(film(1)[:70])
        session.save(tmp_path / "saved")
    again = recorded.restore(tmp_path / "saved")
    found = np.concatenate([first, again.push(film(1)[70:]), again.finish()])
    np.testing.assert_array_equal(found, alone(recorded, 1))


def test_closed_sessions_give_back_their_graphs_memory() -> None:
    recorded = engine("bf16", graphs=True)
    held = []
    for _ in range(3):
        alone(recorded, 0)
        torch.cuda.empty_cache()
        held.append(torch.cuda.memory_reserved())
    assert held[2] <= held[1]


def test_sessions_together_are_what_each_is_alone(precision: str) -> None:
    recorded = engine(precision, graphs=True)
    sessions = [recorded.open(*SIZE, seed=seed) for seed in range(4)]
    made: list[list[npt.NDArray[np.uint8]]] = [[] for _ in sessions]
    for start in range(0, FRAMES, 20):  # a chunk eagerly, then recorded ones, at times with one session missing
        chosen = [0, 1, 2, 3] if start != 60 else [0, 2, 3]
        outs = recorded.step_many([sessions[i] for i in chosen], [film(i)[start : start + 20] for i in chosen])
        if start == 60:
            outs.insert(1, sessions[1].push(film(1)[start : start + 20]))
        for kept, out in zip(made, outs, strict=True):
            kept.append(np.asarray(out))
    for seed, session in enumerate(sessions):
        found = np.concatenate([*made[seed], session.finish()]).astype(float)
        mse = np.square(found - alone(recorded, seed)).mean()
        assert 10 * np.log10(255**2 / max(mse, 1e-9)) > (60 if precision == "fp32" else 40)
