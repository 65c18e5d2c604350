"""What of ComfyUI the nodes touch, and how it loads and calls them. tests/e2e/test_comfyui.py has the real one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).parents[3] / "integrations" / "comfyui"


class Interrupted(Exception):  # noqa: N818, as ComfyUI's own is no error
    """What ComfyUI raises in a node when the user cancels."""


class ModelPatcher:
    def __init__(self, model: object, load_device: object, offload_device: object, size: int = 0) -> None:
        self.model = model
        self.size = size


class VideoFromFile:
    """A VIDEO, perhaps cut."""

    def __init__(self, file: Any, start: float = 0.0, duration: float = 0.0) -> None:
        self.file = file
        self.window = (start, duration)

    def get_stream_source(self) -> Any:
        return self.file

    def get_active_trim_window(self) -> tuple[float, float]:
        return self.window


@dataclass
class FakeComfyUI:
    """``frames_until_cancel``: how often a node may ask before the user has cancelled; None: never."""

    models: Path
    temporary: Path
    bars: list[SimpleNamespace] = field(default_factory=list)
    loaded: list[Any] = field(default_factory=list)
    replacements: list[dict[str, Any]] = field(default_factory=list)
    made_room: list[list[Any]] = field(default_factory=list)
    frames_until_cancel: int | None = None
    cancelled: bool = False
    free: int = 1 << 40
    device: str = "cpu"

    def modules(self) -> dict[str, ModuleType]:
        management = _module(
            "comfy.model_management",
            throw_exception_if_processing_interrupted=self._throw_if_cancelled,
            processing_interrupted=lambda: self.cancelled,
            get_free_memory=lambda device: self.free,
            get_torch_device=lambda: torch.device(self.device),
            load_models_gpu=self._load,
            free_memory=lambda needed, device, keep_loaded: self.made_room.append(keep_loaded),
            current_loaded_models=self.loaded,
        )
        utils = _module("comfy.utils", ProgressBar=self._bar)
        patcher = _module("comfy.model_patcher", ModelPatcher=ModelPatcher)
        manager = SimpleNamespace(register=self.replacements.append)
        server = SimpleNamespace(instance=SimpleNamespace(node_replace_manager=manager))
        found = [
            _module("comfy", model_management=management, utils=utils, model_patcher=patcher),
            management,
            utils,
            patcher,
            _module("comfy_api"),
            _module(
                "comfy_api.latest",
                io=SimpleNamespace(NodeReplace=dict),
                InputImpl=SimpleNamespace(VideoFromFile=VideoFromFile),
            ),
            _module(
                "folder_paths", models_dir=str(self.models), get_temp_directory=lambda: str(self.temporary / "temp")
            ),
            _module("server", PromptServer=server),
        ]
        return {module.__name__: module for module in found}

    def unload_models(self) -> None:
        """The user's button."""
        for entry in self.loaded:
            entry.model.detach()
        self.loaded.clear()

    def _load(self, patchers: list[Any]) -> None:
        known = [entry.model for entry in self.loaded]
        for patcher in patchers:
            if patcher in known:  # ComfyUI puts what it has loaded already aside first
                patcher.detach(unpatch_all=False)
            else:
                self.loaded.append(SimpleNamespace(model=patcher))

    def _throw_if_cancelled(self) -> None:
        if self.frames_until_cancel is not None:
            self.frames_until_cancel -= 1
            self.cancelled = self.frames_until_cancel < 0
        if self.cancelled:
            self.cancelled, self.frames_until_cancel = False, None
            raise Interrupted

    def _bar(self, total: int) -> SimpleNamespace:
        bar = SimpleNamespace(total=total, done=0)

        def update(value: int) -> None:
            bar.done += value

        bar.update = update
        self.bars.append(bar)
        return bar


def loaded_as_comfyui_does(monkeypatch: pytest.MonkeyPatch, comfyui: FakeComfyUI) -> ModuleType:
    """Import the folder by its path, under the name that ComfyUI gives it."""
    for name, module in comfyui.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    name = str(FOLDER).replace(".", "_x_")
    for known in [known for known in sys.modules if known == name or known.startswith(f"{name}.")]:
        monkeypatch.delitem(sys.modules, known)
    spec = importlib.util.spec_from_file_location(name, FOLDER / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    pack = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, pack)
    spec.loader.exec_module(pack)
    return pack


def part(pack: ModuleType, name: str) -> Any:
    """A module of the package."""
    return sys.modules[f"{pack.__name__}.{name}"]


def defaults(node: Any) -> dict[str, Any]:
    """What ComfyUI's page gives a node that nobody has changed."""
    inputs = node.INPUT_TYPES()
    found = {**inputs["required"], **inputs.get("optional", {})}
    return {name: shown["default"] for name, (_, shown) in found.items() if "default" in shown}


def called(node: Any, **inputs: Any) -> Any:
    """Make an instance and call it as ComfyUI does: by keyword, in inference mode. Give its first result."""
    with torch.inference_mode():
        made: Callable[..., tuple[Any, ...]] = getattr(node(), node.FUNCTION)
        return made(**{**defaults(node), **inputs})[0]


def _module(name: str, **content: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(content)
    return module
