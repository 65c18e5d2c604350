"""Workflows on a real ComfyUI's page, in a browser: the example, and those of the community's nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.real_comfyui import CHROMIUM, COMFYUI, FOLDER, ComfyUI, Prompt

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not COMFYUI, reason="COMFYUI_ROOT names no ComfyUI")]


@pytest.fixture(scope="module")
def page(real_comfyui: ComfyUI) -> Iterator[Any]:
    """ComfyUI's own page in a browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 1600, "height": 900})
        opened.goto(real_comfyui.url)
        opened.wait_for_function("window.app?.graph?.nodes !== undefined && window.app?.vueAppReady", timeout=60_000)
        yield opened
        browser.close()


def load(page: Any, workflow: object) -> None:
    page.evaluate("workflow => app.loadGraphData(workflow)", workflow)


def prompt_of(page: Any) -> Prompt:
    made: Prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    return made


def test_the_page_makes_of_the_example_what_is_posted(page: Any) -> None:
    load(page, json.loads((FOLDER / "example_workflow.json").read_text()))
    expected = json.loads((FOLDER / "example_workflow_api.json").read_text())
    made = prompt_of(page)
    assert list(made) == list(expected)
    for key, one in expected.items():
        assert made[key]["class_type"] == one["class_type"]
        assert one["inputs"].items() <= made[key]["inputs"].items()


SAVED = (
    (
        "FlashVSRInitPipe",
        (),
        "PIPE",
        ["FlashVSR-v1.1", "tiny-long", "none", False, "fp16", "auto", "sparse_sage_attention"],
    ),
    ("FlashVSRNodeAdv", ("PIPE",), "IMAGE", [3, False, True, False, 192, 32, True, 1.7, 2, 9, 1234, "randomize"]),
)
"""Type, inputs from the node before, output and values, as a page with the community's nodes saves them."""
MEANT = (
    {
        "model": "FlashVSR-v1.1",
        "mode": "tiny-long",
        "alt_vae": "none",
        "force_offload": False,
        "precision": "fp16",
        "device": "auto",
        "attention_mode": "sparse_sage_attention",
        "server": "",
    },
    {
        "pipe": ["1", 0],
        "scale": 3,
        "color_fix": False,
        "tiled_vae": True,
        "tiled_dit": False,
        "tile_size": 192,
        "tile_overlap": 32,
        "unload_dit": True,
        "sparse_ratio": 1.7,
        "kv_ratio": 2,
        "local_range": 9,
        "seed": 1234,
    },
)


def saved(names: dict[str, str] | None = None) -> dict[str, Any]:
    """A workflow with the community's nodes, or with these names in place of theirs."""
    nodes = []
    for number, (kind, inputs, output, values) in enumerate(SAVED, 1):
        named = (names or {}).get(kind, kind)
        nodes.append(
            {
                "id": number,
                "type": named,
                "pos": [400 * number, 100],
                "size": [300, 400],
                "flags": {},
                "order": number - 1,
                "mode": 0,
                "inputs": [{"name": each.lower(), "type": each, "link": 1} for each in inputs],
                "outputs": [{"name": output.lower(), "type": output, "links": [1] if output == "PIPE" else []}],
                "properties": {"Node name for S&R": named},
                "widgets_values": values,
            }
        )
    return {"last_node_id": 2, "last_link_id": 1, "nodes": nodes, "links": [[1, 1, 0, 2, 0, "PIPE"]], "version": 0.4}


def test_the_page_replaces_the_communitys_nodes_with_their_values(page: Any) -> None:
    load(page, saved())
    page.get_by_role("button", name="View details").click()
    page.get_by_role("button", name="Replace All").click()
    page.wait_for_function("!app.graph.nodes.some(node => node.type.startsWith('FlashVSRNode'))")
    assert [one["inputs"] for one in prompt_of(page).values()] == list(MEANT)


def test_new_names_over_the_old_ones_in_a_file_keep_the_values(page: Any) -> None:
    load(page, saved({"FlashVSRInitPipe": "FlashVSRInit", "FlashVSRNodeAdv": "FlashVSRUpscaleAdvanced"}))
    assert [one["inputs"] for one in prompt_of(page).values()] == list(MEANT)
