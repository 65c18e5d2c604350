"""A model is ready for the sizes that it was told, and keeps nothing of that."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from flashvsr_engine import ConfigError
from flashvsr_handler.model import LoadedModel, load
from flashvsr_handler.settings import Settings

from tests.unit.handler.fake_engine import FakeEngine


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """What settings that name the factory "made:engine" give."""
    made, engine = ModuleType("made"), FakeEngine()
    made.engine = lambda settings, gpu: LoadedModel(engine, "cpu", 10**6)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made", made)
    return engine


def test_a_stream_of_each_size_runs_for_three_chunks(engine: FakeEngine) -> None:
    load(Settings(engine_factory="made:engine", warm_up_sizes=("64x48x2", "32x32")), None)
    assert [(session.size, session.scale) for session in engine.sessions] == [((64, 48), 2), ((32, 32), 4)]
    for session in engine.sessions:
        assert session.frames_in == 25 + 2 * 8
        assert session.closed


def test_a_size_that_the_engine_refuses_is_its_error(engine: FakeEngine) -> None:
    with pytest.raises(ConfigError, match="8x8"):
        load(Settings(engine_factory="made:engine", warm_up_sizes=("8x8",)), None)
