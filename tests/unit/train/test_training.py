from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from flashvsr_engine import EngineConfig, FixedNoise, FlashVSREngine
from flashvsr_engine.residual import add_residual
from flashvsr_engine.weights import load_network

from tests.unit.train.conftest import CONFIG
from train.budget import Budget
from train.clips import ClipSynthesizer
from train.config import TrainConfig, read_config
from train.export import export
from train.motion import Random, random_paths
from train.network import Network
from train.photos import PhotoPool
from train.run import train
from train.trainer import Trainer


def test_clips_are_within_range_and_repeatable(tiny: TrainConfig, pool: PhotoPool) -> None:
    def clips(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return ClipSynthesizer(pool, replace(tiny.data, crop=64), 9, generator).batch()

    first = clips(3)
    assert first.shape == (2, 3, 9, 64, 64)
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, clips(3))
    assert not torch.equal(first, clips(4))


def test_no_path_is_faster_than_allowed() -> None:
    paths = random_paths(200, 33, 10.0, 0.2, Random(torch.Generator().manual_seed(0)))
    speed = paths.shift.diff(dim=1).norm(dim=-1)
    assert speed.max() <= 10.01
    still = speed.amax(1) < 1e-4
    assert 0.1 < still.float().mean() < 0.3
    assert (paths.zoom[still].std(1) < 1e-6).all()


def test_three_steps_change_every_parameter_and_repeat(tiny: TrainConfig, pool: PhotoPool, tmp_path: Path) -> None:
    lines = []
    for name in ("a", "b"):
        trainer = Trainer(tiny, pool, compiled=False)
        before = trainer.averaged().state_dict()
        log = train(trainer, Budget(steps=3), tmp_path / name, log_every=1, checkpoint_minutes=9)
        lines.append([json.loads(line) for line in log])
        after = trainer.averaged().state_dict()
        same = [key for key in before if torch.equal(before[key], after[key])]
        assert same == ["prompt"]
        assert all(torch.isfinite(value).all() for value in after.values())
    losses = [[entry["loss"] for entry in run[:-1]] for run in lines]
    assert losses[0] == losses[1]
    assert all(0 < loss < 10 for loss in losses[0])
    assert lines[0][-1]["done"]
    load_network(tmp_path / "a" / "builtin")


def test_engine_computes_what_was_trained(tiny: TrainConfig, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Network(tiny.model).requires_grad_(False)
    torch.nn.init.normal_(network.decoder.get_parameter("decoder.26.weight"), std=0.25)  # 0 at the start
    network.half().float()
    export(network, tmp_path / "weights")
    engine = FlashVSREngine.load(
        EngineConfig(weights=tmp_path / "weights", precision="fp32", device="cpu", color_fix="none")
    )
    frames = torch.randint(0, 256, (33, 32, 64, 3), dtype=torch.uint8)
    noise = torch.randn(1, 16, 8, 16, 32)
    with engine.open(width=64, height=32, noise=FixedNoise(noise), output="float") as session:
        served = torch.as_tensor(session.push(frames))
    x = F.interpolate(frames.permute(0, 3, 1, 2) / 255, scale_factor=4.0, mode="bicubic", antialias=True)
    lq = x.clamp(0, 1) * 2 - 1
    guide = lq[:29]
    residual = network(lq.transpose(0, 1)[None], noise)[0] - guide
    assert residual.abs().mean() > 0.01
    torch.testing.assert_close(served, add_residual(guide, residual).permute(0, 2, 3, 1), atol=1e-4, rtol=0)


def test_export_refuses_what_float16_cannot_hold(tiny: TrainConfig, tmp_path: Path) -> None:
    network = Network(tiny.model)
    network.dit.head.head.weight.data[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"head\.head\.weight holds 1e\+06"):
        export(network, tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


def test_configuration_names_unknown_entries(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text((Path(__file__).parents[3] / "train" / "builtin.toml").read_text() + "\nepsilom = 1\n")
    with pytest.raises(ValueError, match=r"\[loss\]: missing or unknown entries: epsilom"):
        read_config(path)


def test_budget_counts_minutes_or_steps() -> None:
    assert Budget(minutes=2).progress(999, 30) == pytest.approx(0.25)
    assert Budget(steps=10).progress(5, 1e9) == pytest.approx(0.5)
    for wrong in ({}, {"minutes": 1.0, "steps": 1}, {"steps": 0}):
        with pytest.raises(ValueError, match=r"minutes|length"):
            Budget(**wrong)


def test_a_run_goes_on_from_exported_weights(tiny: TrainConfig, pool: PhotoPool, tmp_path: Path) -> None:
    first = Trainer(tiny, pool, compiled=False)
    first.step(0.0)
    export(first.averaged().half().float(), tmp_path / "weights")
    second = Trainer(replace(tiny, scales=(2, 3)), pool, compiled=False, initial=load_network(tmp_path / "weights"))
    before, after = first.averaged().half().float().state_dict(), second.averaged().state_dict()
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=1e-3)  # centred anew after rounding to float16
    losses = [second.step(0.5)[0] for _ in range(2)]
    assert all(torch.isfinite(loss) for loss in losses)


def test_all_configurations_are_of_one_network() -> None:
    names = ("builtin.toml", "builtin_graphics.toml", "builtin_scales.toml")
    first, *others = (read_config(CONFIG.with_name(name)) for name in names)
    for other in others:
        assert other.model == first.model
        assert other.data.held_out == first.data.held_out
