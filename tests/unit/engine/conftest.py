from __future__ import annotations

from pathlib import Path

import pytest
from flashvsr_engine import FlashVSREngine

from tests.unit.engine.networks import load, write_weights


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def engine(weights: Path) -> FlashVSREngine:
    return load(weights)


@pytest.fixture
def own_weights(tmp_path: Path) -> Path:
    """A folder that the test may damage."""
    return write_weights(tmp_path)
