from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from flashvsr_engine import (
    AttentionConfig,
    CheckpointError,
    ConfigError,
    FixedNoise,
    FlashVSREngine,
    SessionStateError,
)

from tests.unit.engine.networks import load
from tests.unit.engine.test_session import run, video


@pytest.mark.parametrize("at", [0, 10, 25, 40])
def test_a_restored_stream_goes_on_exactly(weights: Path, engine: FlashVSREngine, tmp_path: Path, at: int) -> None:
    frames, file = video(60), tmp_path / "stream.safetensors"
    session = engine.open(32, 24, seed=7, first_frame=8)
    made = [session.push(frames[:at])]
    session.save(file)
    expected = np.concatenate([*made, session.push(frames[at:]), session.finish()])
    other = load(weights)
    restored = other.restore(file)
    assert (restored.frames_in, restored.frames_out) == (at, len(made[0]))
    again = np.concatenate([*made, restored.push(frames[at:]), restored.finish()])
    assert np.array_equal(again, expected)
    assert np.array_equal(expected, run(engine, frames, [], seed=7, first_frame=8))


@pytest.mark.parametrize("at", [10, 40])
def test_a_stream_goes_on_exactly_from_host_memory(engine: FlashVSREngine, at: int) -> None:
    frames = video(60)
    session = engine.open(32, 24, seed=7)
    made = [session.push(frames[:at])]
    snapshot = session.snapshot()
    held = session.state.nbytes
    session.push(frames[at:])  # what the session does later is not in the snapshot
    session.close()
    assert session.state.nbytes == 0
    assert 0.9 * held < snapshot.nbytes < 1.1 * held
    resumed = engine.resume(snapshot)
    again = np.concatenate([*made, resumed.push(frames[at:]), resumed.finish()])
    assert np.array_equal(again, run(engine, frames, [], seed=7))


def test_given_noise_and_kind_of_output_are_kept(engine: FlashVSREngine, tmp_path: Path) -> None:
    frames, file = video(40), tmp_path / "stream"
    noise = FixedNoise(torch.randn(1, 16, 8, 16, 16))
    session = engine.open(32, 24, noise=noise, output="float")
    first = session.push(torch.from_numpy(frames[:30]))
    session.save(file)
    restored = engine.restore(file)
    rest = restored.finish()
    assert isinstance(rest, torch.Tensor)
    assert torch.equal(rest, session.finish())
    assert rest.dtype is first.dtype is torch.float32


@pytest.mark.parametrize("options", [{"tiled_dit": True, "tile_size": 64, "tile_overlap": 16}, {"mode": "tiny-long"}])
def test_other_layouts_are_kept(weights: Path, tmp_path: Path, options: dict[str, object]) -> None:
    engine, frames, file = load(weights, **options), video(40, 80, 160), tmp_path / "stream"
    session = engine.open(160, 80)
    session.push(frames)
    session.save(file)
    assert np.array_equal(load(weights, **options).restore(file).finish(), session.finish())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"color_fix": "none"}, "saved with color_fix adain; this engine has none"),
        ({"precision": "bf16"}, "saved with precision float32; this engine has bfloat16"),
        ({"attention": AttentionConfig(local_range=3)}, "saved with local_range 11; this engine has 3"),
    ],
)
def test_another_setting_is_named(
    weights: Path, engine: FlashVSREngine, tmp_path: Path, options: dict[str, object], words: str
) -> None:
    session = engine.open(32, 24)
    session.save(tmp_path / "stream")
    with pytest.raises(ConfigError, match=words):
        load(weights, **options).restore(tmp_path / "stream")


def test_another_window_is_refused(weights: Path, engine: FlashVSREngine, tmp_path: Path) -> None:
    engine.open(32, 24).save(tmp_path / "stream")
    with pytest.raises(CheckpointError, match="kv_ratio must agree"):
        load(weights, attention=AttentionConfig(kv_ratio=2)).restore(tmp_path / "stream")


def test_damaged_files_are_refused(engine: FlashVSREngine, tmp_path: Path) -> None:
    file = tmp_path / "stream"
    with pytest.raises(CheckpointError, match="is no complete saved session"):
        engine.restore(file)
    engine.open(32, 24).save(file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="is no complete saved session"):
        engine.restore(file)


def test_a_failed_save_leaves_no_file_and_the_session_as_it_was(engine: FlashVSREngine, tmp_path: Path) -> None:
    frames, session = video(30), engine.open(32, 24)
    made = session.push(frames)
    with pytest.raises(CheckpointError, match="cannot be written"):
        session.save(tmp_path / "absent" / "stream")
    assert not list(tmp_path.iterdir())
    assert np.array_equal(np.concatenate([made, session.finish()]), run(engine, frames, []))


def test_only_an_open_session_is_saved(engine: FlashVSREngine, tmp_path: Path) -> None:
    session = engine.open(32, 24)
    session.finish()
    with pytest.raises(SessionStateError, match="finished"):
        session.save(tmp_path / "stream")
