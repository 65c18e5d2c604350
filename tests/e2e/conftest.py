"""One server, and one ComfyUI, for all tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from flashvsr_client.chunks import Frame

from tests.e2e.real_comfyui import SIZE, ComfyUI, comfyui
from tests.e2e.serving import WEIGHTS, Caller, Server, serving
from tests.unit.client.clips import encoded


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with room for two sessions; its address is ``server.address``."""
    with (
        (tmp_path_factory.mktemp("server") / "stderr").open("w+") as errors,
        serving(errors, *WEIGHTS, "--max-sessions", "2") as started,
    ):
        yield started


@pytest.fixture
def caller(server: Server) -> Caller:
    """A caller of that server."""
    return Caller(server.address)


@pytest.fixture(scope="session")
def real_comfyui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """A real ComfyUI with our nodes, and input.mp4 in its input folder."""
    with comfyui(tmp_path_factory.mktemp("comfyui") / "base") as found:
        pictures: list[Frame] = [np.full((SIZE, SIZE, 3), 20 + 4 * index, np.uint8) for index in range(12)]
        encoded(found.folder / "input" / "input.mp4", pictures)
        yield found
