"""The TorchServe entry with a context of our own: what leaves early, what is returned, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flashvsr_engine.errors import WeightsError
from flashvsr_handler import entry, model
from flashvsr_handler.housekeeping import Housekeeper
from flashvsr_handler.reports import Reports
from flashvsr_handler.settings import Settings
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.unit.handler.fake_engine import FakeEngine


class Metric:
    def __init__(self) -> None:
        self.values: list[float] = []

    def add_or_update(self, value: float, dimensions: list[str]) -> None:
        assert dimensions[:2] == ["flashvsr0", "Model"]
        self.values.append(value)


class Context:
    """What the entry uses of TorchServe's context."""

    def __init__(self, report_dir: Path) -> None:
        self.model_name = "flashvsr0"
        self.model_yaml_config = {"handler": {"report_dir": str(report_dir)}}
        self.system_properties = {"gpu_id": 3}
        self.request_ids = {0: "request"}
        self.headers: dict[str, str] = {}
        self.sequence_id: str | None = None
        self.request_headers: dict[str, str] = {}
        self.published: dict[str, Metric] = {}
        self.metrics = self

    def get_metric(self, name: str, kind: object) -> Metric:
        return self.published.setdefault(name, Metric())

    def get_request_id(self, index: int) -> str:
        return self.request_ids[index]

    def get_sequence_id(self, index: int) -> str | None:
        return self.sequence_id

    def get_all_request_header(self, index: int) -> dict[str, str]:
        return self.request_headers

    def set_response_header(self, index: int, key: str, value: str) -> None:
        self.headers[key] = value


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    # The thread ends a process whose parent is gone, which a worker wants and a test run does not.
    monkeypatch.setattr(Housekeeper, "start", lambda self: None)
    return Context(tmp_path)


@pytest.fixture
def handler(context: Context, monkeypatch: pytest.MonkeyPatch) -> entry.FlashVSRHandler:
    def load(settings: Settings, gpu: int | None) -> model.LoadedModel:
        assert gpu == 3
        return model.LoadedModel(FakeEngine(), "cpu", 10**6)

    monkeypatch.setattr(model, "load", load)
    made = entry.FlashVSRHandler()
    made.initialize(context)
    return made


def ask(handler: entry.FlashVSRHandler, context: Context, inputs: dict[str, object]) -> pb.StreamResponse:
    (answer,) = handler.handle([inputs], context)
    assert context.headers == {"ts_stream_next": "false"}
    return wire.parse(pb.StreamResponse, answer)


def ping() -> bytes:
    return pb.StreamRequest(protocol_version=wire.PROTOCOL_VERSION, ping=pb.Ping()).SerializeToString()


@pytest.mark.parametrize("key", ["data", "stream", "body"])
def test_a_ping_is_answered_from_any_input(handler: entry.FlashVSRHandler, context: Context, key: str) -> None:
    assert ask(handler, context, {key: ping()}).HasField("pong")
    handler._housekeeper.tick()
    assert context.published["flashvsr_sessions_active"].values == [0]


def test_the_other_streaming_call_is_refused_in_words(handler: entry.FlashVSRHandler, context: Context) -> None:
    context.sequence_id = "sequence"
    assert "StreamPredictions2 is not served" in ask(handler, context, {"data": ping()}).error.message


def test_a_request_without_input_is_refused_in_words(handler: entry.FlashVSRHandler, context: Context) -> None:
    assert "no input 'data'" in ask(handler, context, {"other": ping()}).error.message


def test_by_http_an_answer_is_one_whole_message(handler: entry.FlashVSRHandler, context: Context) -> None:
    context.request_headers = {"Host": "localhost"}
    clip = pb.Clip(open=pb.Open(width=16, height=16), frames=wire.encode(np.zeros((2, 16, 16, 3), np.uint8)))
    request = pb.StreamRequest(protocol_version=wire.PROTOCOL_VERSION, clip=clip).SerializeToString()
    for inputs, body in (({"body": ping()}, "pong"), ({"stream": request}, "error")):
        (answer,) = handler.handle([inputs], context)
        assert wire.parse(pb.StreamResponse, answer).WhichOneof("body") == body
    assert context.headers == {}, "as a part of a stream it would never be sent"


@pytest.mark.parametrize("read", [60_000_000_000, "text", {"data": 1}, None])
def test_what_torchserve_made_of_json_is_refused_in_words(
    handler: entry.FlashVSRHandler, context: Context, read: object
) -> None:
    context.request_headers = {"host": "localhost"}
    (answer,) = handler.handle([{"body": read}], context)
    assert "application/octet-stream" in wire.parse(pb.StreamResponse, answer).error.message


@pytest.mark.parametrize("body", ["ping", "frames", "flush", "close"])
def test_an_answer_never_grows_with_the_name_of_a_session(
    handler: entry.FlashVSRHandler, context: Context, body: str
) -> None:
    """One that passes max_response_size would end the worker."""
    request = pb.StreamRequest(protocol_version=wire.PROTOCOL_VERSION, session_id="x" * 100_000)
    getattr(request, body).SetInParent()
    answer = ask(handler, context, {"data": request.SerializeToString()})
    assert "session_id of 100000 characters" in answer.error.message
    assert answer.ByteSize() < 200


def test_all_but_the_last_message_leave_early(
    handler: entry.FlashVSRHandler, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[pb.StreamResponse] = []

    def send(messages: list[bytes], ids: object, text: str, code: int, told: Any) -> None:
        assert (ids, text, code, told) == (context.request_ids, "", 200, context)
        sent.extend(wire.parse(pb.StreamResponse, message) for message in messages)

    monkeypatch.setattr(entry, "send_intermediate_predict_response", send)
    clip = pb.Clip(open=pb.Open(width=16, height=16), frames=wire.encode(np.zeros((2, 16, 16, 3), np.uint8)))
    request = pb.StreamRequest(protocol_version=wire.PROTOCOL_VERSION, clip=clip).SerializeToString()
    assert ask(handler, context, {"data": request}).error.code == pb.ERROR_CODE_INVALID_REQUEST
    assert sent == []
    last = ask(handler, context, {"stream": request})
    assert [response.WhichOneof("body") for response in (*sent, last)] == ["accepted", "frames", "done"]


def test_why_loading_failed_is_reported(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(settings: Settings, gpu: int | None) -> model.LoadedModel:
        raise WeightsError("there is no such folder")

    monkeypatch.setattr(model, "load", load)
    with pytest.raises(WeightsError):
        entry.FlashVSRHandler().initialize(context)
    reports = Reports.under(str(tmp_path), "flashvsr0")
    assert reports.failure() == "there is no such folder"
    assert not reports.is_working()
