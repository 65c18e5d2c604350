from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from flashvsr_engine import ConfigError, DeviceError, EngineConfig, FlashVSREngine, WeightsError
from flashvsr_engine.config import AttentionConfig
from safetensors.torch import load_file, save_file

from tests.unit.engine.networks import FILES, load, write_weights


def edit(path: Path, change: dict[str, torch.Tensor | None]) -> None:
    """Replace, add or (None) remove tensors of a file."""
    safe = path.suffix == ".safetensors"
    tensors = load_file(path) if safe else torch.load(path, weights_only=True)
    for name, value in change.items():
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
    if safe:
        save_file(tensors, path)
    else:
        torch.save(tensors, path)


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("dit", {"blocks.1.self_attn.q.bias": None}, r"lacks the tensor 'blocks.1.self_attn.q.bias' of shape \(64,\)"),
        ("dit", {"patch_embedding.weight": None}, "lacks the tensor 'patch_embedding.weight'"),
        ("dit", {"extra": torch.zeros(1)}, "1 tensors that the network lacks, the first 'extra'"),
        ("dit", {"head.head.bias": torch.zeros(7)}, r"'head.head.bias' has shape \(7,\); expected \(64,\)"),
        ("dit", {"head.head.bias": torch.full((64,), torch.nan)}, "'head.head.bias' holds values that are not finite"),
        ("dit", {"patch_embedding.weight": torch.zeros(96, 16, 1, 2, 2)}, "96 is no multiple of the head size 64"),
        ("tcdecoder", {"decoder.24.weight": torch.zeros(8, 9, 3, 3)}, r"\(8, 9, 3, 3\); expected \(8, 8, 3, 3\)"),
        ("projector", {"linear_layers.0.weight": torch.zeros(32, 8)}, "linear_layers"),
        ("projector", {"conv3.weight": torch.zeros(1)}, "conv3.weight"),
    ],
)
def test_loading_is_strict(own_weights: Path, part: str, change: dict[str, torch.Tensor | None], words: str) -> None:
    edit(own_weights / FILES[part], change)
    with pytest.raises(WeightsError, match=words) as raised:
        load(own_weights)
    assert FILES[part] in str(raised.value)


@pytest.mark.parametrize("part", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "text"])
def test_damaged_files_are_named(own_weights: Path, part: str, damage: str) -> None:
    path = own_weights / FILES[part]
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "truncated": content[: len(content) // 2], "text": b"<html>404</html>"}[damage])
    with pytest.raises(WeightsError, match=FILES[part]):
        load(own_weights)


class _Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, ("never",))


def test_pickles_run_no_code(own_weights: Path) -> None:
    (own_weights / FILES["tcdecoder"]).write_bytes(pickle.dumps(_Payload()))
    with pytest.raises(WeightsError, match=FILES["tcdecoder"]):
        load(own_weights)


def test_prompt_must_be_finite_and_fit(own_weights: Path) -> None:
    torch.save(torch.full((1, 4, 16), torch.nan), own_weights / FILES["prompt"])
    with pytest.raises(WeightsError, match="prompt embedding holds values that are not finite"):
        load(own_weights)
    torch.save(torch.zeros(1, 4, 8), own_weights / FILES["prompt"])
    with pytest.raises(WeightsError, match=r"\(1, 4, 8\); expected \(1, length, 16\)"):
        load(own_weights)


def test_version_must_be_known_and_agree(tmp_path: Path, own_weights: Path) -> None:
    with pytest.raises(WeightsError, match=r"version 1.1; version 1.0 was asked for and would ghost"):
        load(own_weights, version="1.0")
    plain = tmp_path / "plain"
    plain.mkdir()
    write_weights(plain, version=None)
    with pytest.raises(WeightsError, match=r"no manifest.json that says its version"):
        load(plain)


def test_hashes_are_checked_where_given(own_weights: Path) -> None:
    path = own_weights / "manifest.json"
    manifest = json.loads(path.read_text())
    file = own_weights / FILES["tcdecoder"]
    manifest["sha256"] = {file.name: hashlib.sha256(file.read_bytes()).hexdigest()}
    path.write_text(json.dumps(manifest))
    load(own_weights)
    manifest["sha256"] = {file.name: "0" * 64}
    path.write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match=f"{file.name} has SHA-256"):
        load(own_weights)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds a list"),
        ('{"colour": 1}', "unknown entries colour"),
        ('{"version": "2"}', "version is '2'"),
        ('{"residual": "yes"}', "residual is 'yes'"),
        ('{"files": {"dit": "x"}}', "files names dit"),
    ],
)
def test_a_wrong_manifest_is_refused(own_weights: Path, content: str, words: str) -> None:
    (own_weights / "manifest.json").write_text(content)
    with pytest.raises(WeightsError, match=words):
        load(own_weights)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is no folder; weights may be 'builtin' or a folder"):
        load(tmp_path / "absent")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "huge"}, "mode is 'huge'; allowed: tiny"),
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"color_fix": "lab"}, "color_fix is 'lab'"),
        ({"scale": 1}, "scale is 1"),
        ({"version": "1.2"}, "version is '1.2'"),
        ({"seed": 1 << 64}, "seed is"),
    ],
)
def test_wrong_options(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        EngineConfig(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"kv_ratio": 0.5}, {"block_kv": 32}, {"sparse_ratio": 0}, {"topk_ratio": -1.0}])
def test_wrong_attention(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        AttentionConfig(**options)  # type: ignore[arg-type]


def test_budget_formula() -> None:
    assert AttentionConfig().topk(blocks=60, pixels=768 * 1280) == 60 * 60 * 2 - 1
    assert AttentionConfig(topk_ratio=0.5).topk(blocks=4, pixels=1) == 7


@pytest.mark.parametrize("device", ["cuda:7", "tpu", "meta"])
def test_absent_devices(own_weights: Path, device: str) -> None:
    with pytest.raises((DeviceError, ConfigError), match=f"device.*{device}"):
        FlashVSREngine.load(EngineConfig(weights=own_weights, device=device))
