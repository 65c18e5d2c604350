"""The nodes in a real ComfyUI: COMFYUI_ROOT is its folder, COMFYUI_PYTHON a Python that has what it needs."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from flashvsr_client.media.decode import decode
from flashvsr_client.media.folder import picture
from flashvsr_client.media.probe import probe
from flashvsr_engine import FlashVSREngine, engine_config

from tests.e2e.real_comfyui import COMFYUI, FOLDER, PYTHON, SIZE, ComfyUI, Prompt, RefusedError
from tests.e2e.serving import serving

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not COMFYUI, reason="COMFYUI_ROOT names no ComfyUI"),
]
NODES = (
    "FlashVSRUpscale",
    "FlashVSRUpscaleAll",
    "FlashVSRInit",
    "FlashVSRUpscaleAdvanced",
    "FlashVSRUpscaleVideo",
)


def flow(node: str = "FlashVSRUpscale", count: int = 3, size: int = SIZE, **inputs: object) -> Prompt:
    """One colour, through a node of ours, to pictures."""
    ours = {"model": "builtin", "mode": "tiny", "scale": 2, "tiled_vae": True, "tiled_dit": True, "unload_dit": False}
    colour = {"width": size, "height": size, "batch_size": count, "color": 0x336699}
    nodes = {
        "1": {"class_type": "EmptyImage", "inputs": colour},
        "2": {"class_type": node, "inputs": {"frames": ["1", 0], "seed": 0, **ours, **inputs}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "made"}},
    }
    return {key: {**one, "_meta": {"title": key}} for key, one in nodes.items()}


def error_of(made: dict[str, object]) -> str:
    status = made["status"]
    assert isinstance(status, dict)
    kind, told = status["messages"][-1]
    assert kind == "execution_error", status
    return str(told["exception_message"]).strip()


def test_it_lists_our_nodes(real_comfyui: ComfyUI) -> None:
    for name in NODES:
        (told,) = real_comfyui.ask(f"/object_info/{name}").values()
        assert told["python_module"] == "custom_nodes.flashvsr"
        assert told["category"] == "FlashVSR"
    failed = [line for line in real_comfyui.log.splitlines() if "IMPORT FAILED" in line]
    assert not [line for line in failed if "flashvsr" in line]


def test_the_picture_is_the_engines_own(real_comfyui: ComfyUI) -> None:
    made = real_comfyui.run(flow())
    assert made["status"]["status_str"] == "success", made["status"]
    found = [real_comfyui.folder / "output" / one["filename"] for one in made["outputs"]["3"]["images"]]
    engine = FlashVSREngine.load(engine_config(device="cpu", scale=2, tiled_vae=True, tiled_dit=True))
    frames = np.full((3, SIZE, SIZE, 3), (0x33, 0x66, 0x99), np.uint8)
    with engine.open(width=SIZE, height=SIZE, seed=0, output="uint16") as session:
        expected = np.concatenate([session.push(frames), session.finish()])
    assert len(found) == 3
    for path, frame in zip(found, expected, strict=True):
        stored = (frame.astype(np.float32) * np.float32(1 / 65535) * 255).astype(
            np.uint8
        )  # it cuts, and does not round
        found_levels = picture(path).to_ndarray(format="rgb24")
        assert np.abs(found_levels.astype(int) - stored).max() <= 1
        assert np.mean(found_levels != stored) < 0.01


def test_the_example_makes_a_film(real_comfyui: ComfyUI) -> None:
    prompt = json.loads((FOLDER / "example_workflow_api.json").read_text())
    made = real_comfyui.run(prompt)
    assert made["status"]["status_str"] == "success", made["status"]
    (film,) = (real_comfyui.folder / "output" / "video").glob("flashvsr*.mp4")
    info = probe(film)
    means = [float(frame.picture.mean()) for frame in decode(info)]
    assert (info.width, info.height, len(means)) == (4 * SIZE, 4 * SIZE, 12)
    assert np.allclose(means, [20 + 4 * index for index in range(12)], atol=4)


def test_a_film_from_file_to_file(real_comfyui: ComfyUI) -> None:
    ours = {**flow()["2"]["inputs"], "video": ["1", 0]}
    del ours["frames"]
    save = {"video": ["2", 0], "filename_prefix": "direct", "format": "auto", "codec": "auto"}
    prompt = {
        "1": {"class_type": "LoadVideo", "inputs": {"file": "input.mp4"}},
        "2": {"class_type": "FlashVSRUpscaleVideo", "inputs": ours},
        "3": {"class_type": "SaveVideo", "inputs": save},
    }
    made = real_comfyui.run({key: {**one, "_meta": {"title": key}} for key, one in prompt.items()})
    assert made["status"]["status_str"] == "success", made["status"]
    info = probe(next((real_comfyui.folder / "output").glob("direct*.mp4")))
    assert (info.width, info.height, len(list(decode(info)))) == (2 * SIZE, 2 * SIZE, 12)


def test_a_workflow_of_the_communitys_node_runs(real_comfyui: ComfyUI) -> None:
    assert real_comfyui.run(flow("FlashVSRNode", seed=11))["status"]["status_str"] == "success"


def test_equal_inputs_are_not_run_again_and_an_engine_is_kept(real_comfyui: ComfyUI) -> None:
    real_comfyui.run(flow(seed=20))
    before = real_comfyui.log.count("Requested to load FlashVSR")
    messages = dict(real_comfyui.run(flow(seed=20))["status"]["messages"])
    assert "2" in messages["execution_cached"]["nodes"]
    real_comfyui.run(flow(seed=21))
    assert real_comfyui.log.count("Requested to load FlashVSR") == before
    real_comfyui.ask("/free", {"unload_models": True})
    time.sleep(1)  # it is done between two runs
    real_comfyui.run(flow(seed=22))
    assert real_comfyui.log.count("Requested to load FlashVSR") == before + 1


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"model": "FlashVSR-v1.1"}, "model FlashVSR-v1.1: there is no folder "),
        ({"size": 8}, "frames of 8x8: width and height must be 16 or more; enlarge or pad the input first"),
        ({"server": "127.0.0.1:1"}, "127.0.0.1:1"),
    ],
)
def test_what_goes_wrong_is_one_sentence(real_comfyui: ComfyUI, inputs: dict[str, object], sentence: str) -> None:
    told = error_of(real_comfyui.run(flow(**inputs)))  # type: ignore[arg-type]
    assert sentence in told
    assert "\n" not in told


def test_what_cannot_be_is_told_before_anything_runs(real_comfyui: ComfyUI) -> None:
    with pytest.raises(RefusedError, match="Value 5 bigger than max of 4"):
        real_comfyui.queue(flow(scale=5))
    known = real_comfyui.ask("/object_info/FlashVSRUpscaleAll")["FlashVSRUpscaleAll"]["input"]["required"]
    inputs = {name: shown["default"] for name, (_, shown) in known.items() if "default" in shown}
    prompt = flow("FlashVSRUpscaleAll", **{**inputs, "tile_size": 64, "tile_overlap": 40})
    with pytest.raises(RefusedError, match="tile_overlap is 40; allowed with tile_size 64: at most half of it, 32"):
        real_comfyui.queue(prompt)


def test_cancelling_ends_the_run_and_the_next_one_works(real_comfyui: ComfyUI) -> None:
    number = real_comfyui.queue(flow(count=400, size=64, seed=30))
    time.sleep(3)
    real_comfyui.ask("/interrupt", {})
    status = real_comfyui.result(number)["status"]
    assert status["messages"][-1][0] == "execution_interrupted", status
    assert real_comfyui.run(flow(seed=31))["status"]["status_str"] == "success"


MAKE_ROOM = """
import sys, importlib
sys.argv = ["main.py", "--cpu"]
import comfy.options; comfy.options.enable_args_parsing()
import torch, comfy.model_management as management
sys.path.insert(0, FOLDER)
host = importlib.import_module("host")
unloaded = []
management.get_torch_device = lambda: torch.device("cuda", 0)
management.get_free_memory = lambda device=None, torch_free_too=False: (0, 0) if torch_free_too else 0
ours, theirs = host.unloadable(lambda: unloaded.append("ours")), host.unloadable(lambda: unloaded.append("theirs"))
for one in (ours, theirs):
    management.current_loaded_models.append(management.LoadedModel(one))
    management.current_loaded_models[-1].model_load()
host.make_room(ours)
print(unloaded, len(management.current_loaded_models))
management.free_memory(1e30, torch.device("cuda", 0))
print(unloaded, len(management.current_loaded_models))
"""
"""With ComfyUI's own bookkeeping, as on a GPU that has nothing free."""


def test_other_models_make_room_and_ours_does_when_it_is_asked() -> None:
    script = f"FOLDER = {str(FOLDER)!r}\n{MAKE_ROOM}"
    done = subprocess.run([PYTHON, "-c", script], cwd=COMFYUI, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.splitlines()[-2:] == ["['theirs'] 1", "['theirs', 'ours'] 0"], done.stderr


def test_a_real_server_does_the_work(real_comfyui: ComfyUI, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+") as log, serving(log, "--weights", "builtin") as server:
        made = real_comfyui.run(flow(server=server.address, seed=40))
        assert made["status"]["status_str"] == "success", made["status"]
    assert len(made["outputs"]["3"]["images"]) == 3
