"""The nodes as ComfyUI has them: loaded from their folder, beside a ComfyUI that is not there."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flashvsr_client import Client, LocalOptions
from flashvsr_client.testing import MockTransport

from tests.unit.integrations.fake_comfyui import FakeComfyUI, loaded_as_comfyui_does, part


@pytest.fixture
def comfyui(tmp_path: Path) -> FakeComfyUI:
    return FakeComfyUI(models=tmp_path / "models", temporary=tmp_path)


@pytest.fixture
def pack(monkeypatch: pytest.MonkeyPatch, comfyui: FakeComfyUI) -> ModuleType:
    return loaded_as_comfyui_does(monkeypatch, comfyui)


@pytest.fixture
def nodes(pack: ModuleType) -> dict[str, Any]:
    found: dict[str, Any] = pack.NODE_CLASS_MAPPINGS
    return found


class Mocks:
    """Mock engines in place of real ones: which were loaded, for which options."""

    def __init__(self) -> None:
        self.loads: list[LocalOptions] = []
        self.transports: list[MockTransport] = []
        self.closed: list[MockTransport] = []

    def load(self, options: LocalOptions) -> Client:
        self.loads.append(options)
        transport = MockTransport()
        self.transports.append(transport)
        transport.close = lambda: self.closed.append(transport)  # type: ignore[method-assign]
        return Client(transport=transport)

    @property
    def sessions_left_open(self) -> int:
        return sum(one.opened - one.closed for one in self.transports)


@pytest.fixture
def mocks(pack: ModuleType, nodes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Mocks:
    made = Mocks()
    engines = part(pack, "engines").Engines(made.load)
    for node in nodes.values():
        monkeypatch.setattr(node, "engines", engines)
    return made
