"""A real TorchServe with the real engine, through plain stubs: what the wire promises."""

from __future__ import annotations

import urllib.request

import grpc
import numpy as np
import pytest
from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_handler.metrics import Metric
from flashvsr_proto import wire
from flashvsr_proto.torchserve.inference_pb2 import PredictionsRequest
from flashvsr_proto.torchserve.stub import SERVICE, request
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.e2e.serving import MODEL, WEIGHTS, Caller, Server, output, pictures

pytestmark = pytest.mark.e2e
OPEN = pb.Open(width=32, height=24, scale=2)


def upscaled(count: int, seed: int) -> np.ndarray:
    """What the engine itself gives for those pictures."""
    engine = FlashVSREngine.load(EngineConfig(weights=WEIGHTS[1], version="1.1", device="cpu"))
    with engine.open(32, 24, 2) as session:
        made = [np.asarray(session.push(pictures(count, seed))), np.asarray(session.finish())]
    return np.concatenate(made)


def test_two_sessions_interleaved_give_what_the_engine_gives_alone(caller: Caller) -> None:
    sessions = {seed: caller.open() for seed in (1, 2)}
    made: dict[int, list[np.ndarray]] = {1: [], 2: []}
    for index, part in enumerate((slice(0, 20), slice(20, 27))):
        for seed, session in sessions.items():
            answers = caller.frames(session, index, pictures(27, seed)[part])
            assert answers[0].accepted.queued == part.stop
            if index == 1:
                made[seed].append(output(answers))
    for seed, session in sessions.items():
        made[seed].append(output(caller.flush(session, 2)))
        closed = caller.one(session_id=session, close=pb.Close()).closed
        assert (closed.frames_in, closed.frames_out) == (27, 27)
    for seed in sessions:
        np.testing.assert_array_equal(np.concatenate(made[seed]), upscaled(27, seed))


def test_a_clip_in_one_call_gives_the_same(caller: Caller) -> None:
    clip = pb.Clip(open=OPEN, frames=wire.encode(pictures(3)))
    answers = caller.many(clip=clip)
    np.testing.assert_array_equal(output(answers), upscaled(3, 0))
    assert answers[-1].timings.engine_us > 0


def test_a_repeated_chunk_gives_the_same_and_a_wrong_one_is_refused(caller: Caller) -> None:
    session = caller.open()
    first = output(caller.frames(session, 0, pictures(25)))
    np.testing.assert_array_equal(output(caller.frames(session, 0, pictures(25))), first)
    (refused,) = caller.frames(session, 7, pictures(25))
    assert refused.error.code == pb.ERROR_CODE_OUT_OF_ORDER
    assert len(output(caller.flush(session, 1))) == 4
    caller.one(session_id=session, close=pb.Close())
    (gone,) = caller.flush(session, 1)
    assert gone.error.code == pb.ERROR_CODE_NO_SESSION


def test_a_full_server_says_when_to_come_back(caller: Caller) -> None:
    sessions = [caller.open(), caller.open()]
    busy = caller.one(open=OPEN).error
    assert (busy.code, busy.retryable) == (pb.ERROR_CODE_BUSY, True)
    assert busy.retry_after_ms > 0
    for session in sessions:
        caller.one(session_id=session, close=pb.Close())
    assert caller.one(ping=pb.Ping()).pong.sessions == 0


def test_whatever_comes_gets_an_answer_and_the_session_goes_on(caller: Caller) -> None:
    session = caller.open()
    for wrapped in (
        request(MODEL, b"\xff\x00garbage"),
        request(MODEL, b""),
        PredictionsRequest(model_name=MODEL),
        request(MODEL, pb.StreamRequest(protocol_version=1, clip=pb.Clip(open=OPEN)).SerializeToString()),
    ):
        answer = caller.stub.predictions(wrapped, timeout=60)
        assert wire.parse(pb.StreamResponse, answer.prediction).HasField("error")
    with pytest.raises(grpc.RpcError) as unknown:
        caller.stub.predictions(request("nothing", b""), timeout=60)
    assert "Model not found" in str(unknown.value)
    assert caller.frames(session, 0, pictures(1))[-1].HasField("done")
    caller.one(session_id=session, close=pb.Close())


def test_the_streaming_call_that_is_not_served_does_no_harm(caller: Caller) -> None:
    call = caller.channel.stream_stream(
        f"/{SERVICE}/StreamPredictions2",
        request_serializer=PredictionsRequest.SerializeToString,
        response_deserializer=bytes,
    )
    message = pb.StreamRequest(protocol_version=wire.PROTOCOL_VERSION, ping=pb.Ping())
    (answer,) = call(iter([request(MODEL, message.SerializeToString())]), timeout=60)
    assert b"sequenceId is required" in answer  # TorchServe's own words: the handler is not reached
    assert caller.answers()


def test_metrics_are_published(server: Server, caller: Caller) -> None:
    caller.many(clip=pb.Clip(open=OPEN, frames=wire.encode(pictures(1))))
    with urllib.request.urlopen(server.metrics, timeout=10) as answer:
        published = answer.read().decode()
    for metric in Metric:
        assert metric.title in published
