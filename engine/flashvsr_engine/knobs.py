"""From the knobs that all faces share to the engine's configuration."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from flashvsr_engine.config import AttentionConfig, EngineConfig
from flashvsr_engine.errors import ConfigError
from flashvsr_engine.knob import Knob
from flashvsr_engine.knob_table import KEY_BLOCKS, KNOBS

__all__ = ["KNOBS", "Knob", "engine_config"]


def engine_config(**knobs: object) -> EngineConfig:
    """The configuration that these knobs ask for; those left out have their defaults.

    Values may be what a command line gives: "True", "256", "8GiB". ConfigError for an unknown knob, one that is given
    under both of its names, or a value that is not allowed.
    """
    chosen: dict[str, Any] = {knob.name: knob.default for knob in KNOBS} | _read(knobs)
    attention = AttentionConfig(
        block_kv=KEY_BLOCKS[chosen["attention_mode"]],
        backend=chosen["attention_backend"],
        **_of(AttentionConfig, chosen),
    )
    return EngineConfig(weights=chosen["model_dir"], attention=attention, **_of(EngineConfig, chosen))


def _read(knobs: dict[str, object]) -> dict[str, Any]:
    read = dict[str, Any]()
    for name, value in knobs.items():
        knob = _named(name)
        if knob.name in read:
            raise ConfigError(f"{knob.name} and {knob.alias} are the same: give one of them.")
        read[knob.name] = knob.read(value)
    return read


def _of(config: type[AttentionConfig | EngineConfig], chosen: dict[str, Any]) -> dict[str, Any]:
    """Those that the configuration has under the same name."""
    return {field.name: chosen[field.name] for field in fields(config) if field.name in chosen}


def _named(name: str) -> Knob:
    names = {name: knob for knob in KNOBS for name in (knob.name, knob.alias) if name is not None}
    if name in names:
        return names[name]
    near = get_close_matches(name, names, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}."
    raise ConfigError(f"There is no knob {name!r}; {remedy}")
