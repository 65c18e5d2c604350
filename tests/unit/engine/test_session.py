from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from flashvsr_engine import ConfigError, EngineError, FixedNoise, FlashVSREngine, FrameError, Session, SessionStateError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.networks import load

Video = npt.NDArray[np.uint8]


def video(frames: int, height: int = 24, width: int = 32, seed: int = 0) -> Video:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def run(engine: FlashVSREngine, frames: npt.NDArray[Any], pushes: list[int], **options: Any) -> Video:
    session = engine.open(frames.shape[2], frames.shape[1], **options)
    made, start = [], 0
    for size in [*pushes, len(frames)]:
        made.append(session.push(frames[start : start + size]))
        start += size
    made.append(session.finish())
    assert (session.frames_in, session.frames_out) == (len(frames), len(frames))
    return np.concatenate(made)


@pytest.fixture(scope="module")
def stream(engine: FlashVSREngine) -> tuple[Video, Video]:
    """50 frames and what comes of them, in one push."""
    frames = video(50)
    return frames, run(engine, frames, [])


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_frame_comes_out_once_whatever_the_cut(
    engine: FlashVSREngine, stream: tuple[Video, Video], data: st.DataObject
) -> None:
    """For any N and any pushes: N frames out, equal to those of the one long push as far as both have seen the same."""
    frames, whole = stream
    count = data.draw(st.integers(1, 50))
    pushes = data.draw(st.lists(st.integers(0, 30), max_size=6))
    out = run(engine, frames[:count], pushes)
    assert out.shape == (count, 48, 64, 3)
    known = max(0, count - 4 - (count - 25) % 8 if count >= 25 else 0)
    assert np.array_equal(out[:known], whole[:known])
    assert np.array_equal(out, run(engine, frames[:count], []))


@pytest.mark.parametrize("count", [1, 2, 20, 21, 22, 25, 29, 30])
def test_short_streams(engine: FlashVSREngine, count: int) -> None:
    assert len(run(engine, video(count), [1])) == count


def test_no_frames(engine: FlashVSREngine) -> None:
    session = engine.open(32, 24)
    assert session.push(video(0)).shape == (0, 48, 64, 3)
    assert session.finish().shape == (0, 48, 64, 3)


def test_frames_come_as_early_as_the_schedule_allows(engine: FlashVSREngine) -> None:
    session = engine.open(32, 24)
    made = [len(session.push(frame[None])) for frame in video(45)]
    assert {i: n for i, n in enumerate(made) if n} == {24: 21, 32: 8, 40: 8}


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("width", "height"), [(16, 16), (101, 77), (17, 130)])
def test_any_size_comes_out_whole(engine: FlashVSREngine, width: int, height: int, scale: int) -> None:
    out = run(engine, video(2, height, width), [], scale=scale)
    assert out.shape == (2, scale * height, scale * width, 3)


def test_a_session_from_mid_film_has_the_films_noise(engine: FlashVSREngine) -> None:
    """The same frames at another place of a film come out otherwise; at place 0 as ever."""
    frames = video(30)
    there = engine.open(32, 24, first_frame=16).feed.stream.noise.latents(0, 6, 8, 8, torch.device("cpu"))
    film = engine.open(32, 24).feed.stream.noise.latents(4, 6, 8, 8, torch.device("cpu"))
    assert torch.equal(there, film)
    assert np.array_equal(run(engine, frames, [], first_frame=0), run(engine, frames, []))
    assert not np.array_equal(run(engine, frames, [], first_frame=16), run(engine, frames, []))


def test_interleaved_sessions_equal_each_alone(engine: FlashVSREngine) -> None:
    """A landscape and a portrait stream of equal area, and one of another seed, bit for bit."""
    inputs = [video(41, 24, 96, seed=1), video(41, 96, 24, seed=2), video(41, 24, 96, seed=1)]
    seeds = [0, 0, 9]
    alone = [run(engine, frames, [], seed=seed) for frames, seed in zip(inputs, seeds, strict=True)]
    sessions = [engine.open(f.shape[2], f.shape[1], seed=seed) for f, seed in zip(inputs, seeds, strict=True)]
    made: list[list[Video]] = [[] for _ in sessions]
    for start in range(0, 41, 5):
        for session, frames, out in zip(sessions, inputs, made, strict=True):
            out.append(session.push(frames[start : start + 5]))
    for session, out, expected in zip(sessions, made, alone, strict=True):
        assert np.array_equal(np.concatenate([*out, session.finish()]), expected)
    assert not np.array_equal(alone[0], alone[2])


def test_a_stream_has_no_end(engine: FlashVSREngine) -> None:
    """Jump to frame 1,000,000 and go on: positions and noise are computed, not tabled."""
    session = engine.open(32, 24)
    session.push(video(25))
    state = session.state
    state.chunks = (1_000_000 - 25) // 8 + 1
    state.frames_in = 25 + 8 * (state.chunks - 1)
    state.frames_out = state.frames_in - 4
    made = session.push(video(16, seed=3))
    assert len(made) == 16
    assert made.std() > 0
    assert len(session.finish()) == 4


def test_state_does_not_grow(engine: FlashVSREngine) -> None:
    session = engine.open(32, 24)
    session.push(video(33))
    before = session.state.nbytes
    for _ in range(5):
        session.push(video(8))
    assert session.state.nbytes == before


@pytest.mark.parametrize("version", [None, "1.0"])
def test_plan_says_the_bytes_of_the_state(weights: Path, version: str | None) -> None:
    engine = load(weights) if version is None else load(_without_manifest_version(weights), version=version)
    session, plan = engine.open(64, 80), engine.plan(64, 80)
    session.push(video(40, 80, 64))
    assert session.state.nbytes <= plan.state_bytes <= session.state.nbytes * 1.1
    assert plan.peak_bytes > plan.state_bytes
    assert (plan.out_width, plan.out_height, plan.padded_width) == (128, 160, 128)


def _without_manifest_version(weights: Path) -> Path:
    from flashvsr_engine.weights import Manifest

    folder = weights / "unversioned"
    folder.mkdir(exist_ok=True)
    for file in weights.iterdir():
        if file.is_file() and not (folder / file.name).exists():
            (folder / file.name).symlink_to(file)
    (folder / "manifest.json").unlink()
    Manifest(head_dim=64).write(folder)
    return folder


def test_float_output_is_the_uint8_one_before_rounding(engine: FlashVSREngine) -> None:
    frames = video(22)
    exact, rounded = run(engine, frames, [], output="float"), run(engine, frames, [])
    assert exact.dtype == np.float32
    assert np.array_equal(np.rint((exact + 1) * 127.5).clip(0, 255).astype(np.uint8), rounded)


def test_tensors_are_accepted_and_returned(engine: FlashVSREngine) -> None:
    frames = video(25)
    session = engine.open(32, 24)
    out, rest = session.push(torch.from_numpy(frames)), session.finish()
    assert isinstance(out, torch.Tensor)
    assert isinstance(rest, torch.Tensor)
    assert np.array_equal(torch.cat((out, rest)).numpy(), run(engine, frames, []))


def test_the_caller_may_reuse_its_array(engine: FlashVSREngine) -> None:
    frames = video(40)
    expected = run(engine, frames, [])
    session, buffer, made = engine.open(32, 24), np.empty((1, 24, 32, 3), np.uint8), []
    for frame in frames:
        buffer[0] = frame
        made.append(session.push(buffer))
        buffer[:] = 0
    assert np.array_equal(np.concatenate([*made, session.finish()]), expected)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (video(2).astype(np.float32), "type float32; expected uint8"),
        (video(2, 24, 30), r"shape \(2, 24, 30, 3\); expected \(T, 24, 32, 3\)"),
        (video(2)[0], r"shape \(24, 32, 3\)"),
        ([1, 2], "are a list"),
    ],
)
def test_wrong_frames_leave_the_session_unharmed(engine: FlashVSREngine, frames: Any, words: str) -> None:
    good = video(25)
    session = engine.open(32, 24)
    session.push(good[:10])
    with pytest.raises(FrameError, match=words):
        session.push(frames)
    made = [session.push(good[10:]), session.finish()]
    assert np.array_equal(np.concatenate(made), run(engine, good, []))


def use(session: Session, how: str) -> None:
    if how == "push":
        session.push(video(1))
    else:
        session.finish()


@pytest.mark.parametrize("how", ["push", "finish"])
def test_after_its_end_a_session_says_so(engine: FlashVSREngine, how: str) -> None:
    finished, closed = engine.open(32, 24), engine.open(32, 24)
    finished.finish()
    with closed:
        closed.push(video(3))
    for session, word in ((finished, "finished"), (closed, "closed")):
        with pytest.raises(SessionStateError, match=word):
            use(session, how)
        session.close()
        assert session.state.nbytes == 0


def test_a_fault_inside_a_chunk_ends_the_session(engine: FlashVSREngine) -> None:
    session = engine.open(32, 24, noise=FixedNoise(torch.zeros(1, 16, 6, 8, 8)))
    with pytest.raises(ConfigError, match="noise has"):
        session.push(video(25))
    with pytest.raises(SessionStateError, match="failed"):
        session.push(video(1))


@pytest.mark.parametrize("options", [{"width": 8}, {"scale": 5}, {"seed": -1}, {"output": "png"}, {"first_frame": 12}])
def test_wrong_options_are_refused_at_open(engine: FlashVSREngine, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as raised:
        engine.open(**({"width": 32, "height": 24} | options))
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, EngineError)


def test_sixteen_bits_go_through(engine: FlashVSREngine) -> None:
    frames = video(30)
    exact = run(engine, frames, [], output="float")
    fine = run(engine, frames.astype(np.uint16) * 257, [], output="uint16")
    assert fine.dtype == np.uint16
    expected = np.clip(np.round((exact + 1) * 32767.5), 0, 65535)
    assert np.abs(fine.astype(float) - expected).max() <= 1
    halfway = run(engine, frames.astype(np.uint16) * 257 + 128, [], output="uint16")
    assert not np.array_equal(halfway, fine), "what lies between two steps of 8 bits is seen"


def test_a_stream_is_of_one_type(engine: FlashVSREngine) -> None:
    session = engine.open(32, 24)
    session.push(video(2).astype(np.uint16))
    with pytest.raises(FrameError, match=r"uint8; this stream began with torch\.uint16"):
        session.push(video(2))
    assert session.frames_in == 2
