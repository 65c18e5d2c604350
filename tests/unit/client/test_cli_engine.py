"""Options of the engine on the command line: the community's spellings mean what ours mean, and mistakes are a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from flashvsr_client import LocalOptions
from flashvsr_client.cli.engine_options import chosen
from flashvsr_client.cli.main import run
from flashvsr_client.cli.upscale import upscale
from flashvsr_engine import EngineConfig, engine_config
from flashvsr_engine.knobs import KNOBS

MakeClip = Callable[..., Path]
PER_STREAM = {"scale", "seed"}
"""Knobs that a client has beside the engine's options: each stream chooses its own."""


def parsed(line: str) -> dict[str, Any]:
    return upscale.make_context("upscale", line.split()).params


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("in.mp4 -o out.mp4 --tiled_dit True", "in.mp4 -o out.mp4 --tiled-dit"),
        ("in.mp4 -o out.mp4 --tiled_dit", "in.mp4 -o out.mp4 --tiled-dit true"),
        ("--tiled_dit in.mp4 -o out.mp4", "in.mp4 -o out.mp4 --tiled-dit=1"),
        ("--tiled_dit False in.mp4 -o out.mp4", "in.mp4 -o out.mp4 --tiled-dit=false"),
        ("in.mp4 -o out.mp4 --tiled_vae True --unload_dit 1", "in.mp4 -o out.mp4 --tiled-vae --unload-dit"),
        ("in.mp4 -o out.mp4 --adaptive_batch_size", "in.mp4 -o out.mp4 --adaptive-batch-size"),
        ("in.mp4 -o out.mp4 --tile_size 128", "in.mp4 -o out.mp4 --tile-size 128"),
        ("in.mp4 -o out.mp4 --tile_size=128 --tile_overlap=8", "in.mp4 -o out.mp4 --tile-overlap 8 --tile-size 128"),
        ("in.mp4 -o out.mp4 --color_fix", "in.mp4 -o out.mp4 --color-fix true"),
        ("in.mp4 -o out.mp4 --color_fix wavelet", "in.mp4 -o out.mp4 --color-fix=wavelet"),
        ("in.mp4 -o out.mp4 --model_dir here", "in.mp4 -o out.mp4 --weights here"),
        (
            "in.mp4 -o out.mp4 --attention_mode sparse_sage_attention",
            "in.mp4 -o out.mp4 --attention-mode sparse_sage_attention",
        ),
        (
            "in.mp4 -o out.mp4 --sparse_ratio 1.5 --kv_ratio 1.0 --local_range 9",
            "in.mp4 -o out.mp4 --sparse-ratio 1.5 --kv-ratio 1 --local-range 9",
        ),
        ("-o out.mp4 --memory_limit 8GiB -- in.mp4", "in.mp4 -o out.mp4 --memory-limit 8GiB"),
    ],
)
def test_their_spelling_is_ours(theirs: str, ours: str) -> None:
    assert parsed(theirs) == parsed(ours)
    assert chosen(parsed(theirs)), "something was chosen"


def test_input_and_output_as_options() -> None:
    both = parsed("--input in.mp4 --output out.mp4")
    assert (both["also_source"], both["output"], both["sources"]) == (Path("in.mp4"), "out.mp4", ())


def test_every_option_has_its_place_on_the_command_line() -> None:
    names = {parameter.name for parameter in upscale.params}
    assert {field.name for field in fields(LocalOptions)} <= names
    assert names >= PER_STREAM


def test_the_clients_options_are_the_engines_knobs() -> None:
    known = {knob.alias or knob.name: knob.default for knob in KNOBS}
    assert asdict(LocalOptions()) == {name: value for name, value in known.items() if name not in PER_STREAM}
    assert engine_config(**asdict(LocalOptions())) == EngineConfig()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--tiled_dit True", "tiled_dit: the server chooses that; give it with --local only"),
        ("--memory-limit 8GiB --tile-size 64", "memory_limit, tile_size: the server chooses that"),
        ("--plan", "plan: the server chooses that"),
        ("--local --tile_size many", "'many' is not a valid integer"),
        ("--local --tile_size 16", "tile_size is 16; allowed: 32 to 1024"),
        ("--local --tile_overlap 200", "tile_overlap is 200; allowed with tile_size 256: at most half"),
        ("--local --tiled_dit=perhaps", "'perhaps' is not a valid boolean"),
        ("--local --tiled_dit perhaps", "is one file for 2 inputs"),
        ("--local --mode huge", "mode is 'huge'; allowed: tiny, tiny-long, full"),
        ("--local --color_fix lab", "color_fix is 'lab'; allowed: adain, wavelet, none"),
        ("--local --sparse_ratio 3", "sparse_ratio is 3.0; allowed: 1.5 to 2"),
        ("--local --kv_ratio 0", "kv_ratio is 0.0; allowed: 1 to 3"),
        ("--local --local_range 10", "local_range is 10; allowed: 9, 11"),
        ("--local --attention_mode sdpa", "attention_mode is 'sdpa'; allowed: block_sparse_attention"),
        ("--local --memory_limit much", "memory_limit is 'much'; allowed: a size"),
        ("--input again.mp4", "IN is given twice"),
    ],
)
def test_a_mistake_is_one_line(
    make_clip: MakeClip, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, text: str
) -> None:
    source = make_clip()
    assert run(["upscale", str(source), "-o", str(tmp_path / "out.mp4"), *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("flashvsr: ")
    assert error.count("\n") == 1
    assert text in error
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize(
    ("arguments", "text"), [("-o out.mp4", "Missing argument 'IN'"), ("in.mp4", "Missing option '-o' / '--output'")]
)
def test_something_is_missing(capsys: pytest.CaptureFixture[str], arguments: str, text: str) -> None:
    assert run(["upscale", *arguments.split()]) == 2
    assert capsys.readouterr().err == f"flashvsr: {text}; see `flashvsr upscale --help`\n"


def test_a_plan_needs_no_output(make_clip: MakeClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_clip()
    assert run(["upscale", str(source), "--local", "--plan", "--scale", "2", "--memory_limit", "none"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("32x24 -> 64x48, peak ")
    assert "limit none" in captured.out
    assert captured.err == ""
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_plan_says_which_steps_it_takes(make_clip: MakeClip, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(make_clip())
    assert run(["upscale", source, "--local", "--plan", "--device", "cpu", "--memory-limit", "1MB"]) == 2
    assert "memory_limit is " in capsys.readouterr().err
