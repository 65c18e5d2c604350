"""`flashvsr-engine weights` verify, convert and info."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import pytest
import torch
from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_engine.cli.main import run
from flashvsr_engine.model.vae import VAESizes, WanDecoder
from flashvsr_engine.weights import load_network
from safetensors.torch import load_file, save_file

from tests.unit.engine.networks import FILES, write_weights

VAE = "Wan2.1_VAE.pth"


class Result(NamedTuple):
    code: int
    out: str
    err: str


Call: TypeAlias = Callable[..., Result]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: object) -> Result:
        code = run(["weights", *map(str, arguments)])
        result = Result(code, *capsys.readouterr())
        assert result.err.count("\n") <= 1
        return result

    return call


def test_verify_says_of_each_file_what_it_was_held_to(call: Call, own_weights: Path) -> None:
    result = call("verify", own_weights)
    assert result.code == 0
    assert f"{own_weights}: version 1.1, since its manifest.json says so\n" in result.out
    assert result.out.count("ok      ") == 4
    assert "SHA-256 not known" in result.out
    assert "all 4 files are right" in result.out
    assert call("verify", "builtin").out.count("SHA-256 as in manifest.json") == 4


def test_verify_names_every_file_that_fails(call: Call, own_weights: Path) -> None:
    tensors = load_file(own_weights / FILES["dit"])
    save_file(tensors | {"head.head.bias": torch.full((64,), torch.nan)}, own_weights / FILES["dit"])
    torch.save(torch.full((1, 4, 16), torch.inf), own_weights / FILES["prompt"])
    (own_weights / FILES["tcdecoder"]).write_bytes(b"<html>")
    torch.save({"encoder.weight": torch.ones(1)}, own_weights / VAE)
    result = call("verify", own_weights)
    assert result.code == 3
    assert "'head.head.bias' holds values that are not finite" in result.out
    assert "the prompt embedding holds values that are not finite" in result.out
    assert f"{FILES['tcdecoder']} is no checkpoint of tensors alone" in result.out
    assert f"{VAE} lacks the tensor '" in result.out
    assert "ok      LQ_proj_in.ckpt" in result.out
    assert "4 of 5 files failed" in result.out


def test_verify_goes_on_where_the_networks_file_is_gone_bad(call: Call, own_weights: Path) -> None:
    (own_weights / FILES["dit"]).write_bytes(b"")
    result = call("verify", own_weights)
    assert (result.code, result.out.count("ok      "), result.out.count("failed  ")) == (3, 3, 1)


def test_verify_holds_a_plain_folder_to_what_was_published(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "FlashVSR-v1.1"
    folder.mkdir()
    write_weights(folder, version=None)
    result = call("verify", folder)
    assert result.code == 3
    assert "bytes; version 1.1 has 575694948: fetch it again" in result.out
    assert result.out.count("failed  ") == 4


def test_verify_holds_files_to_the_manifests_digests(call: Call, own_weights: Path) -> None:
    manifest = json.loads((own_weights / "manifest.json").read_text())
    manifest["sha256"] = {FILES["tcdecoder"]: "0" * 64}
    (own_weights / "manifest.json").write_text(json.dumps(manifest))
    result = call("verify", own_weights)
    assert result.code == 3
    assert f"expected {'0' * 64}: fetch it again" in result.out


def test_convert_leaves_the_values_as_they_are(call: Call, own_weights: Path, tmp_path: Path) -> None:
    shared = torch.ones(4)
    decoder = WanDecoder(VAESizes((8, 8, 8, 8))).state_dict()
    vae = decoder | {"encoder.a": shared, "conv1.bias": shared, "encoder.b": torch.ones(2, dtype=torch.int64)}
    torch.save(vae, own_weights / VAE)
    out = tmp_path / "new" / "converted"
    assert call("convert", own_weights, out).code == 0
    assert {path.name for path in out.iterdir()} == {
        "manifest.json",
        "diffusion_pytorch_model_streaming_dmd.safetensors",
        "LQ_proj_in.safetensors",
        "TCDecoder.safetensors",
        "posi_prompt.safetensors",
        "Wan2.1_VAE.safetensors",
    }
    before, after = load_network(own_weights), load_network(out)
    for part in ("dit", "projector", "tcdecoder"):
        for name, tensor in getattr(before, part).state_dict().items():
            assert torch.equal(tensor, getattr(after, part).state_dict()[name])
    assert torch.equal(before.prompt, after.prompt)
    assert after.manifest.head_dim == 64
    assert set(load_file(out / "Wan2.1_VAE.safetensors")) == set(vae)
    result = call("verify", out)
    assert (result.code, result.out.count("SHA-256 as in manifest.json")) == (0, 5)


def test_bf16_storage_halves_the_files_and_keeps_the_picture_in_bf16(
    call: Call, own_weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "half"
    assert call("convert", own_weights, out, "--bf16").code == 0
    size = (own_weights / FILES["dit"]).stat().st_size
    assert (out / FILES["dit"]).stat().st_size < 0.6 * size
    assert load_file(out / "posi_prompt.safetensors")["prompt"].dtype == torch.float32
    assert {tensor.dtype for tensor in load_file(out / "TCDecoder.safetensors").values()} == {torch.bfloat16}
    frames = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    pictures = []
    for folder in (own_weights, out):
        config = EngineConfig(weights=folder, device="cpu", precision="bf16", scale=2)
        session = FlashVSREngine.load(config).open(64, 64)
        pictures.append(np.concatenate([session.push(frames), session.finish()]))
    stored_in_fp32, stored_in_bf16 = pictures
    assert np.array_equal(stored_in_fp32, stored_in_bf16)


def test_convert_refuses_what_would_not_load(call: Call, own_weights: Path, tmp_path: Path) -> None:
    tensors = torch.load(own_weights / FILES["tcdecoder"], weights_only=True)
    torch.save(tensors | {"extra": torch.ones(1)}, own_weights / FILES["tcdecoder"])
    out = tmp_path / "converted"
    result = call("convert", own_weights, out)
    assert result.code == 3
    assert "the first 'extra'" in result.err
    assert not out.exists()
    assert not (tmp_path / ".converted.part").exists()


def test_convert_keeps_what_is_there(call: Call, own_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "converted"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    result = call("convert", own_weights, out)
    assert result.code == 4
    assert "is there already; name a new folder" in result.err
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_convert_on_a_full_disk(call: Call, own_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save_to_a_full_disk(tensors: dict[str, torch.Tensor], path: Path) -> None:
        if "TCDecoder" in path.name:
            path.symlink_to("/dev/full")
            with path.open("wb") as file:
                file.write(bytes(1 << 16))
        save_file(tensors, path)

    monkeypatch.setattr("flashvsr_engine.weights.convert.save_file", save_to_a_full_disk)
    out = tmp_path / "converted"
    result = call("convert", own_weights, out)
    assert result.code == 4
    assert "cannot be written: No space left on device" in result.err
    assert not out.exists()
    assert not (tmp_path / ".converted.part").exists()


def test_info(call: Call, own_weights: Path) -> None:
    result = call("info", own_weights)
    assert result.code == 0
    assert "random, version 1.1, since its manifest.json says so" in result.out
    assert "DiT of 2 blocks, width 64, 1 heads of 64, feed-forward 64; prompt of 4 x 16" in result.out
    parameters = sum(p.numel() for p in load_network(own_weights).dit.parameters())
    assert f"{parameters} parameters in float32" in result.out
    for mode, precision in (("tiny", "bf16"), ("tiny-long", "fp32")):
        config = EngineConfig(weights=own_weights, mode=mode, device="cpu", precision=precision)  # type: ignore[arg-type]
        plan = FlashVSREngine.load(config).plan(480, 270)
        sizes = f"state {plan.state_bytes / 1e6:.0f} MB, peak about {plan.peak_bytes / 1e6:.0f} MB"
        assert f"{mode}, {precision}, 480x270 x4: {sizes}" in result.out


@pytest.mark.parametrize("command", ["verify", "info", "convert"])
def test_a_folder_that_is_none(call: Call, tmp_path: Path, command: str) -> None:
    result = call(command, tmp_path / "absent", *([tmp_path / "out"] if command == "convert" else []))
    assert result.code == 3
    assert "is no folder" in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch", "--version", "2"], "invalid choice: '2'"),
        (["verify"], "the following arguments are required: DIR"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_usage_is_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        run(["weights", *arguments])
    assert raised.value.code == 2
    line = capsys.readouterr().err
    assert words in line
    assert line.count("\n") == 1


def test_interruption(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from flashvsr_engine.cli import weights

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "describe", interrupted)
    assert call("info", "builtin") == Result(130, "", "flashvsr-engine: interrupted\n")
