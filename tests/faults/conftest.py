"""Figures of faults: printed, and kept where `python -m bench.faults` finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

Figure = Callable[[str, float], None]


@pytest.fixture
def errors(tmp_path: Path) -> Iterator[IO[str]]:
    """Where a server of the test writes its stderr."""
    with (tmp_path / "stderr").open("w+") as file:
        yield file


@pytest.fixture
def figure(record_property: Callable[[str, object], None], request: pytest.FixtureRequest) -> Figure:
    """Keep one figure of the test under a name with its unit."""

    def keep(name: str, value: float) -> None:
        record_property(name, f"{value:.2f}")
        print(f"{request.node.name}: {name} {value:.2f}")

    return keep
