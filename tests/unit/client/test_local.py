"""The local transport: the engine's errors as ours, and no engine at all."""

from __future__ import annotations

import sys
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
from flashvsr_client import Client, EngineUnavailableError, InputError, LocalOptions, UsageError
from flashvsr_client.chunks import Frames
from flashvsr_client.cli.doctor import backends
from flashvsr_client.transport import local
from flashvsr_engine import errors as engine_errors


class FakeSession:
    def __init__(self) -> None:
        self.closed = False

    def push(self, frames: Frames) -> Frames:
        return frames.repeat(2, axis=1).repeat(2, axis=2)

    def finish(self) -> Frames:
        return np.empty((0, 32, 32, 3), np.uint8)

    def close(self) -> None:
        self.closed = True


class FakeEngine:
    name = "fake 1.0"
    device = "cpu"

    def __init__(self) -> None:
        self.session = FakeSession()
        self.opened: list[dict[str, object]] = []

    def plan(self, *, width: int, height: int, scale: int) -> SimpleNamespace:
        return SimpleNamespace(out_width=width * scale, out_height=height * scale, first_chunk=3, chunk=2)

    def attention_backends(self) -> dict[str, list[SimpleNamespace]]:
        plain = SimpleNamespace(name="torch", about="plain torch", reason=None, chosen=True)
        kernel = SimpleNamespace(name="triton", about="kernel", reason="it needs a cuda device, not cpu", chosen=False)
        return {"sparse": [plain, kernel]}

    def open(self, **options: object) -> FakeSession:
        self.opened.append(options)
        return self.session


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(local, "_load", lambda options: fake)
    return fake


def test_frames_go_through_the_engine(engine: FakeEngine) -> None:
    frames = [np.full((16, 16, 3), index, np.uint8) for index in range(6)]
    with Client.local() as client, client.open_session(16, 16, scale=2, seed=7) as session:
        assert [frame[0, 0, 0] for frame in session.upscale(frames)] == list(range(6))
        assert session.info.model == "fake 1.0"
    expected = {"width": 16, "height": 16, "scale": 2, "seed": 7, "first_frame": 0, "output": "uint8"}
    assert engine.opened == [expected]
    assert engine.session.closed


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (engine_errors.ConfigError("mode is 'x'"), UsageError),
        (engine_errors.WeightsError("no file"), EngineUnavailableError),
        (engine_errors.DeviceError("no GPU"), EngineUnavailableError),
        (engine_errors.FrameError("too small"), InputError),
        (engine_errors.SessionStateError("closed"), EngineUnavailableError),
    ],
)
def test_the_engines_errors_become_ours_with_their_words(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]
) -> None:
    def load(options: LocalOptions) -> FakeEngine:
        raise error

    monkeypatch.setattr(local, "_load", load)
    with Client.local() as client, pytest.raises(kind, match=str(error)) as caught:
        client.open_session(16, 16)
    assert caught.value.__cause__ is error


def test_an_error_of_a_chunk_is_translated_too(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(frames: Frames) -> Frames:
        raise engine_errors.EngineError("it broke")

    monkeypatch.setattr(engine.session, "push", fail)
    with (
        Client.local() as client,
        client.open_session(16, 16) as session,
        pytest.raises(EngineUnavailableError, match="it broke"),
    ):
        list(session.upscale([np.zeros((16, 16, 3), np.uint8)]))
    assert engine.session.closed


def test_without_the_engine_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flashvsr_engine.errors", None)
    with Client.local() as client, pytest.raises(EngineUnavailableError, match=r"pip install \./engine"):
        client.ping()


def test_faces_see_the_engines_own_table() -> None:
    known = {knob.name for knob in local.knobs()}
    assert {"model_dir", "scale", "seed"} < known
    assert {field.name for field in fields(LocalOptions)} - {"weights"} < known


def test_options_are_checked_without_an_engine_being_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_load", lambda options: pytest.fail("it was loaded"))
    local.check(LocalOptions(tile_size=64, tile_overlap=32, device="cuda:7"))
    with pytest.raises(UsageError, match="kv_ratio is 9; allowed: 1 to 3"):
        local.check(LocalOptions(kv_ratio=9))


def test_without_the_engine_its_table_is_missed_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flashvsr_engine.errors", None)
    with pytest.raises(EngineUnavailableError, match=r"pip install \./engine"):
        local.knobs()


def test_doctor_says_which_attention_there_is_and_why_not_another(engine: FakeEngine) -> None:
    lines = [str(finding) for finding in backends(local.LocalTransport())]
    assert lines == [
        "ok       sparse torch       plain torch (auto takes it)",
        "missing  sparse triton      it needs a cuda device, not cpu",
    ]


def test_doctor_says_nothing_of_attention_without_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flashvsr_engine.errors", None)
    assert list(backends(local.LocalTransport())) == []
