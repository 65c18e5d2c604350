"""The inputs of the nodes, from the engine's own table of knobs: names, ranges and the community's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flashvsr_client import LocalOptions, UsageError
from flashvsr_client.transport.local import devices_of, knobs

from . import host

if TYPE_CHECKING:
    from flashvsr_engine.knobs import Knob

Input = tuple[str | list[str], dict[str, Any]]
"""What ComfyUI calls an input: its type, or the words to choose from, and how it is shown."""

BUILTIN: Final = "builtin"
MODELS: Final = ("FlashVSR-v1.1", "FlashVSR")
"""The community's names of the published weights: folders in ComfyUI's `models`."""
FRAMES: Final[Input] = ("IMAGE", {"tooltip": "Consecutive frames of a film, RGB, 16 x 16 pixels or more."})
VIDEO: Final[Input] = ("VIDEO", {"tooltip": "A film, read from its file part by part."})
SERVER: Final[Input] = (
    "STRING",
    {
        "default": "",
        "tooltip": "HOST:PORT of a flashvsr-serve, which then does the work; empty: an engine in ComfyUI's process.\n"
        "With a server only scale and seed are taken from here: model and engine are the server's.",
    },
)
_STEPS: Final = {"tile_size": 32, "tile_overlap": 8, "sparse_ratio": 0.1, "kv_ratio": 0.1, "local_range": 2}
_TYPES: Final = {"flag": "BOOLEAN", "integer": "INT", "number": "FLOAT", "text": "STRING"}


def knob_inputs(*names: str) -> dict[str, Input]:
    """Inputs for these knobs, by name. Defaults are the community's where it has the knob."""
    known = {knob.name: knob for knob in knobs()}
    return {name: _device(known[name]) if name == "device" else _input(known[name]) for name in names}


def model_input() -> Input:
    """Which weights: builtin, or a folder in ComfyUI's `models`; the default is what is there."""
    default = MODELS[0] if (host.models_folder() / MODELS[0]).is_dir() else BUILTIN
    tooltip = (
        "builtin is small and comes with the engine; the others are folders of published weights in ComfyUI's models."
    )
    return [*MODELS, BUILTIN], {"default": default, "tooltip": tooltip}


def weights_of(model: str) -> str | Path:
    """What `LocalOptions.weights` is for a model of that name. UsageError where its folder is missing."""
    if model == BUILTIN:
        return BUILTIN
    folder = host.models_folder() / model
    if not folder.is_dir():
        version = "1.1" if model == MODELS[0] else "1.0"
        raise UsageError(
            f"model {model}: there is no folder {folder}; `flashvsr-engine weights fetch --version {version} --dir "
            f"{folder}` fetches it, or choose {BUILTIN}"
        )
    return folder


def local_options(inputs: Mapping[str, Any]) -> LocalOptions:
    """The engine that the inputs of a node ask for; those that the node lacks have our defaults."""
    names = {field.name for field in fields(LocalOptions)}
    chosen = {name: value for name, value in inputs.items() if name in names}
    return LocalOptions(weights=weights_of(inputs["model"]), **chosen)


def _input(knob: Knob) -> Input:
    shown = {"default": knob.default if knob.theirs is None else knob.theirs, "tooltip": _tooltip(knob)}
    if isinstance(shown["default"], bool):  # color_fix as well: the community's is a switch
        return "BOOLEAN", shown
    if knob.kind == "word":
        return [str(choice) for choice in knob.choices], shown
    low, high = _range(knob)
    return _TYPES[knob.kind], shown | {"min": low, "max": high, "step": _STEPS.get(knob.name, 1)}


def _range(knob: Knob) -> tuple[float, float]:
    numbers = [choice for choice in knob.choices if isinstance(choice, int)]
    if numbers:
        return min(numbers), max(numbers)
    assert knob.low is not None, f"{knob.name} has neither choices nor a range"
    assert knob.high is not None, f"{knob.name} has neither choices nor a range"
    return knob.low, knob.high


def _device(knob: Knob) -> Input:
    return list(dict.fromkeys(("auto", *devices_of("all"), "cpu"))), {"default": "auto", "tooltip": _tooltip(knob)}


def _tooltip(knob: Knob) -> str:
    return f"Picture: {knob.picture}\nSpeed: {knob.speed}\nMemory: {knob.memory}"
