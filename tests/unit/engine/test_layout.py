"""Folders as the community's tools lay them out, and what they tell about the version."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from flashvsr_engine import WeightsError
from flashvsr_engine.weights import load_network, open_folder
from flashvsr_engine.weights.layout import version_of_name
from flashvsr_engine.weights.published import RELEASES
from flashvsr_engine.weights.storage import digest
from safetensors.torch import load_file, save_file

from tests.golden.golden_case import WEIGHTS

DIT, PROJECTOR, DECODER, VAE, PROMPT = (file.name for file in RELEASES["1.1"].files)


def put(folder: Path, *, prompt: Path | None = None) -> Path:
    """The golden weights, laid out; prompt: its folder where that is another."""
    for name in (DIT, PROJECTOR, DECODER, PROMPT):
        place = prompt if prompt is not None and name == PROMPT else folder
        place.mkdir(parents=True, exist_ok=True)
        os.link(WEIGHTS / name, place / name)
    return folder


def publish(monkeypatch: pytest.MonkeyPatch, sha256: str | None = None) -> None:
    """Let the golden projector, or a file of its size with this digest, be the published one of version 1.1."""
    path, release = WEIGHTS / PROJECTOR, RELEASES["1.1"]
    files = tuple(
        replace(file, size=path.stat().st_size, sha256=sha256 or digest(path)) if file.name == PROJECTOR else file
        for file in release.files
    )
    monkeypatch.setitem(RELEASES, "1.1", replace(release, files=files))


@pytest.mark.parametrize(
    ("model", "prompt", "given"),
    [
        ("examples/WanVSR/FlashVSR-v1.1", "examples/WanVSR/prompt_tensor", "examples/WanVSR/FlashVSR-v1.1"),
        ("examples/WanVSR/FlashVSR-v1.1", "examples/WanVSR/prompt_tensor", "examples/WanVSR"),
        ("models/FlashVSR-v1.1", "models", "models/FlashVSR-v1.1"),
        ("models/FlashVSR-v1.1", "models", "models"),
        ("models/FlashVSR-v1.1", "models", "."),
        ("models/FlashVSR-v1.1", "examples/WanVSR/prompt_tensor", "models"),
        ("models/FlashVSR-v1.1", "models/FlashVSR-v1.1/prompt_tensor", "models"),
        ("ComfyUI/models/FlashVSR-v1.1", "ComfyUI/custom_nodes/ComfyUI-FlashVSR_Stable", "ComfyUI/models"),
        ("ComfyUI/models/FlashVSR-v1.1", "ComfyUI/custom_nodes/comfyui-flashvsr_ultra_fast", "ComfyUI"),
    ],
)
def test_layouts(tmp_path: Path, model: str, prompt: str, given: str) -> None:
    put(tmp_path / model, prompt=tmp_path / prompt)
    network = load_network(tmp_path / given)
    assert (network.version, network.version_reason) == ("1.1", "the name FlashVSR-v1.1 says so")
    assert torch.equal(network.prompt, load_network(WEIGHTS, "1.1").prompt)


def test_all_in_safetensors_under_other_names(tmp_path: Path) -> None:
    """As 1038lab/ComfyUI-FlashVSR keeps them, the projector's tensors with their long names."""
    folder = tmp_path / "FlashVSR"
    folder.mkdir()
    os.link(WEIGHTS / DIT, folder / "FlashVSR1_1.safetensors")
    projector = torch.load(WEIGHTS / PROJECTOR, weights_only=True)
    save_file({f"LQ_proj_in.{name}": t for name, t in projector.items()}, folder / "LQ_proj_in.safetensors")
    save_file(torch.load(WEIGHTS / DECODER, weights_only=True), folder / "TCDecoder.safetensors")
    save_file({"context": torch.load(WEIGHTS / PROMPT, weights_only=True)}, folder / "Prompt.safetensors")
    (folder / "Wan2.1_VAE.safetensors").touch()
    network = load_network(folder)
    assert (network.version, network.version_reason) == ("1.1", "the name FlashVSR1_1.safetensors says so")
    assert open_folder(folder).file("vae").name == "Wan2.1_VAE.safetensors"


def test_the_published_files_come_first(tmp_path: Path) -> None:
    folder = put(tmp_path / "FlashVSR-v1.1")
    save_file(load_file(WEIGHTS / DIT), folder / "TCDecoder.safetensors")
    assert open_folder(folder).file("tcdecoder").name == DECODER


def test_of_several_models_one_must_be_named(tmp_path: Path) -> None:
    put(tmp_path / "FlashVSR")
    put(tmp_path / "FlashVSR-v1.1")
    with pytest.raises(WeightsError, match=r"holds several models: FlashVSR, FlashVSR-v1\.1; name one of them"):
        open_folder(tmp_path)
    assert open_folder(tmp_path, "1.1").path.name == "FlashVSR-v1.1"
    assert open_folder(tmp_path, "1.0").path.name == "FlashVSR"


def test_what_is_missing_is_listed_with_the_remedy(tmp_path: Path) -> None:
    folder = put(tmp_path / "FlashVSR-v1.1")
    (folder / PROMPT).unlink()
    (folder / DECODER).unlink()
    with pytest.raises(
        WeightsError, match=rf"lacks {DECODER}, {PROMPT}; `flashvsr-engine weights fetch --dir {folder}"
    ):
        open_folder(folder)
    with pytest.raises(WeightsError, match=rf"{tmp_path / 'FlashVSR-v1.1'} lacks"):
        open_folder(tmp_path)


def test_the_vae_is_optional_until_it_is_asked_for(tmp_path: Path) -> None:
    folder = put(tmp_path / "FlashVSR-v1.1")
    with pytest.raises(WeightsError, match=r"lacks the part 'vae'; `flashvsr-engine weights fetch --version 1\.1"):
        open_folder(folder).file("vae")
    torch.save({"conv2.weight": torch.ones(1)}, folder / VAE)
    assert list(open_folder(folder).tensors("vae")) == ["conv2.weight"]
    manifest = {"version": "1.1", "files": {"dit": DIT, "projector": PROJECTOR, "tcdecoder": DECODER, "prompt": PROMPT}}
    manifest["files"] |= {"vae": "mine.pth"}  # type: ignore[operator]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match="lacks the part 'vae'"):
        open_folder(folder).file("vae")
    os.link(folder / VAE, folder / "mine.pth")
    assert open_folder(folder).file("vae").name == "mine.pth"


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("FlashVSR-v1.1", "1.1"),
        ("flashvsr_v1_1", "1.1"),
        ("FlashVSR1_1.safetensors", "1.1"),
        ("Wan2_1-T2V-1.1_3B_FlashVSR_fp32.safetensors", "1.1"),
        ("FlashVSR", "1.0"),
        ("flashvsr-v1.0", "1.0"),
        ("FlashVSR-v1.1.1", None),
        ("Wan2_1-T2V-1_3B_FlashVSR_fp32.safetensors", None),
        ("weights", None),
    ],
)
def test_names(name: str, version: str | None) -> None:
    assert version_of_name(name) == version


def test_a_conclusion_from_a_name_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "flashvsr_engine"):
        open_folder(put(tmp_path / "FlashVSR"))
        open_folder("builtin")
    assert [(r.levelname, r.getMessage().split(": ", 1)[1]) for r in caplog.records] == [
        ("WARNING", "version 1.0, since the name FlashVSR says so"),
        ("INFO", "version 1.1, since its manifest.json says so"),
    ]


def test_the_digest_beats_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Version 1.1 in a folder called FlashVSR is common; the published file is known for certain."""
    publish(monkeypatch)
    folder = put(tmp_path / "FlashVSR")
    for asked in (None, "1.1"):
        found = open_folder(folder, asked)
        assert (found.version, found.reason) == ("1.1", f"{PROJECTOR} is the published file of that version")
    with pytest.raises(WeightsError, match=r"holds version 1\.1; version 1\.0 was asked for and would ghost \(LQ_proj"):
        open_folder(folder, "1.0")


def test_the_digest_contradicts_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch)
    folder = put(tmp_path / "weights")
    (folder / "manifest.json").write_text('{"version": "1.0"}')
    with pytest.raises(WeightsError, match=r"holds version 1\.1, since LQ_proj_in\.ckpt is .* manifest.json says 1\.0"):
        open_folder(folder)


def test_asked_against_the_name(tmp_path: Path) -> None:
    folder = put(tmp_path / "FlashVSR")
    with pytest.raises(WeightsError, match=r"version 1\.1 was asked for and would ghost \(the name FlashVSR says"):
        open_folder(folder, "1.1")
    (folder / "manifest.json").write_text('{"version": "1.1"}')
    assert open_folder(folder, "1.1").reason == "its manifest.json says so"


@pytest.mark.parametrize(("name", "asked"), [("FlashVSR-v1.1", None), ("weights", "1.1")])
def test_another_projector_of_the_published_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, asked: str | None
) -> None:
    """Version 1.0's projector has the same shapes: put beside 1.1's network it would make ghosts in silence."""
    publish(monkeypatch, sha256="0" * 64)
    folder = put(tmp_path / name)
    with pytest.raises(WeightsError, match=r"it is damaged, or of another version, which would ghost"):
        open_folder(folder, asked)  # type: ignore[arg-type]


def test_the_manifests_digest_tells_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch)
    folder = put(tmp_path / "weights")
    (folder / "manifest.json").write_text(json.dumps({"sha256": {PROJECTOR: digest(folder / PROJECTOR)}}))
    assert open_folder(folder).version == "1.1"
