"""What ComfyUI reads of the nodes before it runs one: tables, inputs, the README and the example beside them."""

from __future__ import annotations

import inspect
import json
import re
import sys
import tomllib
from types import ModuleType
from typing import Any

import flashvsr_client
import pytest
from flashvsr_client.transport.local import check

from tests.unit.integrations.fake_comfyui import FOLDER, FakeComfyUI, defaults, loaded_as_comfyui_does, part

SEED = (0, 0, (1 << 64) - 1)
TILES = {
    "tiled_vae": True,
    "tiled_dit": True,
    "tile_size": (256, 32, 1024, 32),
    "tile_overlap": (24, 8, 512, 8),
    "unload_dit": False,
}
ATTENTION = {"sparse_ratio": (2.0, 1.5, 2.0, 0.1), "kv_ratio": (3.0, 1.0, 3.0, 0.1), "local_range": (11, 9, 11, 2)}
MODES = ("tiny", {"tiny", "tiny-long", "full"})
MODEL = (None, {"FlashVSR", "FlashVSR-v1.1"})
ENGINE: dict[str, Any] = {
    "precision": ("bf16", {"fp16", "bf16"}),
    "device": ("auto", {"auto"}),
    "attention_mode": ("sparse_sage_attention", {"sparse_sage_attention", "block_sparse_attention"}),
}
STREAM: dict[str, Any] = {"scale": (2, 2, 4), "color_fix": True, **TILES, **ATTENTION, "seed": SEED}
SIMPLE: dict[str, Any] = {
    "model": MODEL,
    "mode": MODES,
    "scale": (2, 2, 4),
    "tiled_vae": True,
    "tiled_dit": True,
    "unload_dit": False,
    "seed": SEED,
}
THEIRS: dict[str, dict[str, Any]] = {
    "FlashVSRUpscale": {"frames": "IMAGE", **SIMPLE},
    "FlashVSRUpscaleAll": {
        "frames": "IMAGE",
        "mode": MODES,
        **STREAM,
        "device": ENGINE["device"],
        "precision": ENGINE["precision"],
        "attention_mode": ENGINE["attention_mode"],
    },
    "FlashVSRInit": {
        "model": MODEL,
        "mode": MODES,
        "alt_vae": ("none", {"none"}),
        "force_offload": True,
        **ENGINE,
    },
    "FlashVSRUpscaleAdvanced": {"pipe": "PIPE", "frames": "IMAGE", **STREAM},
    "FlashVSRUpscaleVideo": {"video": "VIDEO", **SIMPLE},
}
"""The community's inputs in its order: a switch's default; (default, low, high, step); (default, words at least)."""
CORE_NODES = {"LoadVideo", "GetVideoComponents", "CreateVideo", "SaveVideo"}


def test_the_tables_name_every_node(pack: ModuleType) -> None:
    assert set(pack.NODE_CLASS_MAPPINGS) == set(pack.NODE_DISPLAY_NAME_MAPPINGS) == set(THEIRS)
    assert all(name.startswith("FlashVSR ") for name in pack.NODE_DISPLAY_NAME_MAPPINGS.values())


@pytest.mark.parametrize("name", THEIRS)
def test_a_node_is_what_comfyui_takes_for_one(nodes: dict[str, Any], name: str) -> None:
    node = nodes[name]
    inputs = node.INPUT_TYPES()
    assert set(inputs) <= {"required", "optional"}
    assert len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
    assert set(node.RETURN_TYPES) <= {"IMAGE", "PIPE", "VIDEO"}
    assert node.CATEGORY == "FlashVSR"
    assert all(shown["tooltip"] for _, shown in {**inputs["required"], **inputs.get("optional", {})}.values())
    assert not hasattr(node, "IS_CHANGED")  # equal inputs give equal pictures: ComfyUI may keep them
    given = dict.fromkeys([*inputs["required"], *inputs.get("optional", {})])
    inspect.signature(getattr(node(), node.FUNCTION)).bind(**given)
    inspect.signature(getattr(node(), node.FUNCTION)).bind(**dict.fromkeys(inputs["required"]))
    json.dumps(inputs)  # it travels to the page


@pytest.mark.parametrize("name", THEIRS)
def test_inputs_are_the_communitys_in_its_order(nodes: dict[str, Any], name: str) -> None:
    found = nodes[name].INPUT_TYPES()["required"]
    assert list(found) == list(THEIRS[name])
    for key, expected in THEIRS[name].items():
        kind, shown = found[key]
        if isinstance(expected, str):
            assert kind == expected
        elif isinstance(expected, bool):
            assert (kind, shown["default"]) == ("BOOLEAN", expected)
        elif isinstance(expected[1], set):
            assert expected[1] <= set(kind)
            assert shown["default"] in kind
            assert expected[0] in (None, shown["default"])
        else:
            assert kind == ("FLOAT" if isinstance(expected[0], float) else "INT")
            ours = tuple(shown[part] for part in ("default", "min", "max", "step"))
            assert ours == (expected if len(expected) == 4 else (*expected, 1))


@pytest.mark.parametrize("name", [name for name in THEIRS if name not in ("FlashVSRInit", "FlashVSRUpscaleAdvanced")])
def test_the_defaults_are_allowed(pack: ModuleType, nodes: dict[str, Any], name: str) -> None:
    check(part(pack, "inputs").local_options(defaults(nodes[name])))


def test_a_model_that_is_there_is_the_default(comfyui: FakeComfyUI, nodes: dict[str, Any], pack: ModuleType) -> None:
    assert defaults(nodes["FlashVSRInit"])["model"] == "builtin"
    folder = comfyui.models / "FlashVSR-v1.1"
    folder.mkdir(parents=True)
    assert defaults(nodes["FlashVSRInit"])["model"] == "FlashVSR-v1.1"
    assert part(pack, "inputs").weights_of("FlashVSR-v1.1") == folder


@pytest.mark.parametrize("name", ["FlashVSRUpscaleAll", "FlashVSRUpscaleAdvanced"])
def test_tiles_that_cannot_be_laid_are_told_before_anything_runs(nodes: dict[str, Any], name: str) -> None:
    told = nodes[name].VALIDATE_INPUTS(tile_size=64, tile_overlap=40)
    assert told == "tile_overlap is 40; allowed with tile_size 64: at most half of it, 32."
    assert nodes[name].VALIDATE_INPUTS(tile_size=2048, tile_overlap=8).startswith("tile_size is 2048; allowed: 32 to ")
    assert nodes[name].VALIDATE_INPUTS(tile_size=64, tile_overlap=32) is True
    assert nodes[name].VALIDATE_INPUTS(tile_size=None, tile_overlap=None) is True  # they come from another node


@pytest.mark.usefixtures("pack")
def test_the_communitys_nodes_are_replaced_by_ours(comfyui: FakeComfyUI) -> None:
    pairs = {one["old_node_id"]: one["new_node_id"] for one in comfyui.replacements}
    assert pairs == {
        "FlashVSRNode": "FlashVSRUpscale",
        "FlashVSRInitPipe": "FlashVSRInit",
        "FlashVSRNodeAdv": "FlashVSRUpscaleAdvanced",
    }
    for one in comfyui.replacements:
        inputs = THEIRS[one["new_node_id"]]
        assert [pair["old_id"] for pair in one["input_mapping"]] == list(inputs)
        assert all(pair["old_id"] == pair["new_id"] for pair in one["input_mapping"])
        assert one["old_widget_ids"] == widget_names(inputs)


def test_without_the_client_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, comfyui: FakeComfyUI) -> None:
    monkeypatch.setitem(sys.modules, "flashvsr_client", None)
    with pytest.raises(ImportError, match=r"-m pip install ./proto ./engine ./client in "):
        loaded_as_comfyui_does(monkeypatch, comfyui)


def test_the_readme_has_every_input_and_its_default(nodes: dict[str, Any]) -> None:
    text = (FOLDER / "README.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    told = {cells[0].strip("`"): cells for cells in rows if len(cells) == 5}
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    users: dict[str, list[str]] = {}
    for name, node in nodes.items():
        inputs = node.INPUT_TYPES()
        for key, (kind, shown) in {**inputs["required"], **inputs.get("optional", {})}.items():
            found[key] = (kind, shown)
            users.setdefault(key, []).append(name)
    assert set(told) == set(found)
    for key, (kind, shown) in found.items():
        _, values, default, used, _ = told[key]
        if isinstance(kind, list):
            missing = set(kind) - set(re.split(r", | and ", values)) - {"cpu"}
            assert not {word for word in missing if not word.startswith("cuda:")}
        elif "min" in shown and key != "seed":
            assert values == f"{shown['min']} to {shown['max']}"
        if "default" in shown and key != "model":
            assert default == (str(shown["default"]).lower() or "empty")
        assert [letter for letter, name in LETTERS.items() if name in users[key]] == used.split()


LETTERS = {
    "S": "FlashVSRUpscale",
    "A": "FlashVSRUpscaleAll",
    "I": "FlashVSRInit",
    "P": "FlashVSRUpscaleAdvanced",
    "V": "FlashVSRUpscaleVideo",
}


def test_the_example_is_the_same_in_both_formats(nodes: dict[str, Any]) -> None:
    prompt = json.loads((FOLDER / "example_workflow_api.json").read_text())
    page = json.loads((FOLDER / "example_workflow.json").read_text())
    links = {link[0]: [str(link[1]), link[2]] for link in page["links"]}
    shown = {str(node["id"]): node for node in page["nodes"]}
    assert {key: node["type"] for key, node in shown.items()} == {key: one["class_type"] for key, one in prompt.items()}
    assert {node["type"] for node in shown.values()} - CORE_NODES <= set(nodes)
    for key, one in prompt.items():
        wired = {slot["name"]: links[slot["link"]] for slot in shown[key]["inputs"] if slot.get("link") is not None}
        assert wired == {name: value for name, value in one["inputs"].items() if isinstance(value, list)}
        if one["class_type"] in nodes:
            inputs = nodes[one["class_type"]].INPUT_TYPES()
            known = {**inputs["required"], **inputs.get("optional", {})}
            assert set(one["inputs"]) == set(known)
            pairs = zip(widget_names(known), shown[key]["widgets_values"], strict=True)
            values = {name: value for name, value in pairs if name != "control_after_generate"}
            assert {**wired, **values} == one["inputs"]


def test_the_registry_is_told_the_clients_version_and_no_name_that_a_stranger_could_take() -> None:
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())
    assert project["project"]["version"] == flashvsr_client.__version__
    assert project["project"]["dependencies"] == []
    assert not (FOLDER / "requirements.txt").exists()
    assert {"PublisherId", "DisplayName"} <= set(project["tool"]["comfy"])


def widget_names(inputs: dict[str, Any]) -> list[str]:
    """What a saved workflow holds of a node: its values in order, and one of the page's own after each seed."""
    kinds = {name: kind[0] if isinstance(kind, tuple) else kind for name, kind in inputs.items()}
    named = [name for name, kind in kinds.items() if kind not in ("IMAGE", "PIPE", "VIDEO")]
    return [part for name in named for part in ((name, "control_after_generate") if name == "seed" else (name,))]
