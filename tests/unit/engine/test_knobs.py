"""The knobs: the community's names, defaults and ranges, read from what a command line gives."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from flashvsr_engine import AttentionConfig, ConfigError, EngineConfig, engine_config
from flashvsr_engine.knobs import KNOBS

COMMUNITY = {
    "mode": "tiny",
    "scale": 2,
    "tiled_dit": True,
    "tile_size": 256,
    "tile_overlap": 24,
    "tiled_vae": True,
    "unload_dit": False,
    "adaptive_batch_size": False,
    "precision": "bf16",
    "device": "cuda:0",
    "color_fix": True,
    "sparse_ratio": 2.0,
    "kv_ratio": 3.0,
    "local_range": 11,
    "attention_mode": "sparse_sage_attention",
    "model_dir": "/app/models",
    "seed": 0,
}
"""Names and defaults of ComfyUI-FlashVSR_Ultra_Fast's node and of the infer_video.py made from it."""


def test_nothing_chosen_is_the_engines_default() -> None:
    assert engine_config() == EngineConfig()


def test_every_option_of_the_engine_is_a_knob() -> None:
    names = {name for knob in KNOBS for name in (knob.name, knob.alias)}
    special = {"attention", "topk_ratio", "block_kv", "backend", "cuda_graphs"}
    assert {field.name for config in (EngineConfig, AttentionConfig) for field in fields(config)} - special <= names


def test_names_and_defaults_are_the_communitys() -> None:
    theirs = {knob.name: knob.default if knob.theirs is None else knob.theirs for knob in KNOBS if not knob.ours}
    assert theirs == COMMUNITY


def test_the_communitys_own_defaults_are_allowed() -> None:
    config = engine_config(**COMMUNITY)
    assert (config.weights, config.color_fix, config.attention.block_kv) == ("/app/models", "adain", 64)
    assert (config.tiled_dit, config.tiled_vae, config.scale) == (True, True, 2)


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("tiled_dit", "True", True),
        ("tiled_dit", "0", False),
        ("tiled_vae", 1, True),
        ("tile_size", "32", 32),
        ("tile_size", "1024", 1024),
        ("scale", "3", 3),
        ("color_fix", "True", "adain"),
        ("color_fix", False, "none"),
        ("color_fix", "wavelet", "wavelet"),
        ("memory_limit", "none", None),
        ("memory_limit", None, None),
        ("memory_limit", "Auto", "auto"),
        ("memory_limit", "8GiB", 8 << 30),
        ("seed", "1125899906842624", 1 << 50),
        ("version", "", None),
        ("model_dir", Path("here"), Path("here")),
        ("weights", "here", "here"),
    ],
)
def test_a_command_lines_words_are_understood(name: str, written: object, meant: object) -> None:
    overlap = {"tile_overlap": "8"} if name == "tile_size" else {}
    config = engine_config(**{name: written}, **overlap)
    assert getattr(config, {"model_dir": "weights"}.get(name, name)) == meant


def test_attention_is_configured() -> None:
    attention = engine_config(
        sparse_ratio="1.5",
        kv_ratio=1,
        local_range="9",
        attention_mode="sparse_sage_attention",
        attention_backend="torch",
    ).attention
    assert attention == AttentionConfig(sparse_ratio=1.5, kv_ratio=1.0, local_range=9, block_kv=64, backend="torch")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mode", "huge", "mode is 'huge'; allowed: tiny, tiny-long, full; leave it out for tiny."),
        ("scale", 5, "scale is 5; allowed: 2, 3, 4"),
        ("scale", "2.5", "scale is '2.5'; allowed: 2, 3, 4"),
        ("scale", True, "scale is True"),
        ("tiled_dit", "perhaps", "tiled_dit is 'perhaps'; allowed: true, false; leave it out for false."),
        ("tiled_dit", None, "tiled_dit is None"),
        ("tile_size", 31, "tile_size is 31; allowed: 32 to 1024"),
        ("tile_size", "many", "tile_size is 'many'"),
        ("tile_size", 32, "tile_overlap is 24; allowed with tile_size 32: at most half of it, 16."),
        ("tile_overlap", 513, "tile_overlap is 513; allowed: 8 to 512"),
        ("precision", "int8", "precision is 'int8'; allowed: auto, bf16, fp16, fp32"),
        ("color_fix", "lab", "color_fix is 'lab'; allowed: adain, wavelet, none"),
        ("sparse_ratio", 1.4, "sparse_ratio is 1.4; allowed: 1.5 to 2; leave it out for 2.0."),
        ("sparse_ratio", "nan", "sparse_ratio is 'nan'"),
        ("sparse_ratio", "much", "sparse_ratio is 'much'"),
        ("kv_ratio", "3.5", "kv_ratio is '3.5'; allowed: 1 to 3"),
        ("local_range", 10, "local_range is 10; allowed: 9, 11"),
        ("attention_mode", "sdpa", "attention_mode is 'sdpa'; allowed: block_sparse_attention, sparse_sage_attention"),
        ("attention_backend", "magic", "attention_backend is 'magic'; allowed: auto"),
        ("seed", -1, "seed is -1; allowed: 0 to 18446744073709551615"),
        ("memory_limit", "much", "memory_limit is 'much'; allowed: a size"),
        ("memory_limit", 0.5, "memory_limit is 0.5; allowed: a size"),
        ("model_dir", "", "model_dir is ''"),
        ("version", "1.2", "version is '1.2'; allowed: "),
        ("tilesize", 1, "There is no knob 'tilesize'; did you mean tile_size?"),
        ("quux", 1, "There is no knob 'quux'; known: mode, "),
    ],
)
def test_a_wrong_value_is_said_in_one_line(name: str, value: object, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        engine_config(**{name: value})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_knob_under_two_names() -> None:
    with pytest.raises(ConfigError, match="model_dir and weights are the same"):
        engine_config(model_dir="a", weights="b")
