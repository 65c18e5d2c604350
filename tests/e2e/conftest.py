"""One server for all tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.serving import WEIGHTS, Caller, Server, serving


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
