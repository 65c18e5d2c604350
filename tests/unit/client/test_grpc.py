"""The gRPC transport, through every fault that a server can have."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from flashvsr_client import (
    Client,
    ClientError,
    InputError,
    RetryPolicy,
    ServerBusyError,
    ServerError,
    ServerUnreachableError,
    Session,
    SessionLostError,
    StreamClosedError,
    Timeout,
)
from flashvsr_client.chunks import Frame
from flashvsr_client.transport.base import StreamSpec
from flashvsr_client.transport.server import GrpcTransport
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.unit.client.fake_serve import CHUNK, FakeServe, Fault


def status(code: grpc.StatusCode, details: str) -> Fault:
    return lambda context: context.abort(code, details)


def typed(code: pb.ErrorCode, *, retryable: bool = False) -> Fault:
    return lambda context: pb.Error(code=code, message="as the server says", retryable=retryable)


def garbled(context: grpc.ServicerContext) -> pb.Frames:
    return pb.Frames(pixel_format=pb.PIXEL_FORMAT_RGB24, width=32, height=32, count=1, planes=[b"short"])


ONCE = RetryPolicy(attempts=1)
"""For lost sessions, which are opened again otherwise: test_replay.py."""


@pytest.fixture
def serve() -> Iterator[FakeServe]:
    fake = FakeServe()
    yield fake
    fake.stop()


def client_of(serve: FakeServe, *, message: float = 30.0) -> Client:
    return Client(serve.address, timeout=Timeout(message=message), retry=RetryPolicy(first_delay=0.01, max_delay=0.02))


def upscale(session: Session, count: int) -> list[int]:
    frames = (np.full((16, 16, 3), index, np.uint8) for index in range(count))
    return [int(frame[0, 0, 0]) for frame in session.upscale(frames)]


def test_sixteen_bits_go_there_and_back(serve: FakeServe) -> None:
    frames = [np.full((16, 16, 3), 300 * index + 7, np.uint16) for index in range(9)]
    with client_of(serve) as client, client.open_session(16, 16, retry=ONCE, scale=2, depth=16) as session:
        made = list(session.upscale(frames))
    assert {frame.dtype for frame in made} == {np.dtype(np.uint16)}
    assert [int(frame[0, 0, 0]) for frame in made] == [300 * index + 7 for index in range(9)]


def test_frames_of_another_depth_are_refused(serve: FakeServe) -> None:
    frames = [np.zeros((16, 16, 3), np.uint16)] * 3
    with (
        client_of(serve) as client,
        client.open_session(16, 16, retry=ONCE, scale=2) as session,
        pytest.raises(InputError, match="this stream takes uint8"),
    ):
        list(session.upscale(frames))


@pytest.mark.parametrize("count", [1, 4, 5, 6, 30])
def test_frames_go_there_and_back(serve: FakeServe, count: int) -> None:
    with client_of(serve) as client, client.open_session(16, 16, retry=ONCE, scale=3) as session:
        assert (session.info.width, session.info.height) == (48, 48)
        assert upscale(session, count) == list(range(count))
    assert serve.closed == 1


def test_a_chunk_is_sent_when_the_one_before_has_begun(serve: FakeServe) -> None:
    with client_of(serve) as client, client.open_session(16, 16, retry=ONCE) as session:
        upscale(session, 60)
    assert serve.most_unaccepted == 1
    assert max(serve.attempts.values()) == 1


def test_a_slow_reader_holds_the_sender_back(serve: FakeServe) -> None:
    taken = 0

    def counted() -> Iterator[Frame]:
        nonlocal taken
        for _ in range(200):
            taken += 1
            yield np.zeros((16, 16, 3), np.uint8)

    with client_of(serve) as client, client.open_session(16, 16, retry=ONCE) as session:
        upscaled = session.upscale(counted())
        next(upscaled)
        time.sleep(0.3)
        assert taken <= 5 + 4 * CHUNK
        upscaled.close()


TRANSIENT = [
    status(grpc.StatusCode.UNAVAILABLE, "Prediction failed"),
    status(grpc.StatusCode.UNAVAILABLE, "Socket closed"),
    status(grpc.StatusCode.CANCELLED, "CANCELLED"),
    status(grpc.StatusCode.INTERNAL, "Model flashvsr0 has no worker to serve inference request"),
    typed(pb.ERROR_CODE_BUSY, retryable=True),
]


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_failure_that_passes_costs_nothing_but_time(serve: FakeServe, fault: Fault) -> None:
    serve.before = {(0, 1): fault, (3, 1): fault, (3, 2): fault}
    with client_of(serve) as client, client.open_session(16, 16, retry=ONCE) as session:
        assert upscale(session, 20) == list(range(20))
    assert serve.attempts[3] >= 3


@pytest.mark.parametrize("fault", TRANSIENT)
def test_an_answer_that_breaks_off_is_asked_for_again_and_no_frame_comes_twice(serve: FakeServe, fault: Fault) -> None:
    last = 10  # the flush: no further chunk is under way that would take the answer's place
    serve.midway = {(last, 1): fault, (last, 2): fault}
    with client_of(serve) as client, client.open_session(16, 16, retry=ONCE) as session:
        assert upscale(session, 20) == list(range(20))
    assert serve.attempts[last] == 3


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (status(grpc.StatusCode.RESOURCE_EXHAUSTED, "Worker died."), SessionLostError, "worker .* died"),
        (status(grpc.StatusCode.INTERNAL, "Worker died."), SessionLostError, "worker .* died"),
        (status(grpc.StatusCode.INVALID_ARGUMENT, "what?"), ServerError, "INVALID_ARGUMENT .what?"),
        (typed(pb.ERROR_CODE_NO_SESSION), SessionLostError, "as the server says"),
        (typed(pb.ERROR_CODE_OUT_OF_ORDER), SessionLostError, "as the server says"),
        (typed(pb.ERROR_CODE_SESSION_LOST), SessionLostError, "as the server says"),
        (typed(pb.ERROR_CODE_TOO_LARGE), ServerError, "as the server says"),
        (garbled, ServerError, "frames that cannot be read"),
    ],
)
def test_a_failure_that_stays_is_told_at_once(
    serve: FakeServe, fault: Fault, kind: type[ClientError], text: str
) -> None:
    serve.before = {(2, 1): fault}
    with (
        client_of(serve) as client,
        client.open_session(16, 16, retry=ONCE) as session,
        pytest.raises(kind, match=text) as caught,
    ):
        upscale(session, 30)
    assert "\n" not in str(caught.value)
    assert serve.attempts[2] == 1


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (status(grpc.StatusCode.UNAVAILABLE, "Prediction failed"), "failed at the request"),
        (status(grpc.StatusCode.CANCELLED, "RST"), "allows smaller requests only"),
    ],
)
def test_a_failure_that_comes_again_and_again_ends_the_stream(serve: FakeServe, fault: Fault, text: str) -> None:
    serve.before = {(2, attempt): fault for attempt in range(1, 20)}
    with (
        client_of(serve) as client,
        client.open_session(16, 16, retry=ONCE) as session,
        pytest.raises(ServerError, match=text),
    ):
        upscale(session, 30)
    assert serve.attempts[2] == RetryPolicy().attempts


def test_a_server_that_goes_away_is_session_lost(serve: FakeServe) -> None:
    with client_of(serve) as client, client.open_session(16, 16, retry=ONCE) as session:
        upscaled = session.upscale(np.zeros((16, 16, 3), np.uint8) for _ in range(500))
        next(upscaled)
        serve.stop()
        with pytest.raises(SessionLostError, match="went away in mid-clip"):
            list(upscaled)


def test_a_server_that_hangs_is_given_up(serve: FakeServe) -> None:
    released = threading.Event()

    def hang(context: grpc.ServicerContext) -> None:
        released.wait(20)

    serve.before = {(1, 1): hang}
    with client_of(serve, message=0.3) as client, client.open_session(16, 16, retry=ONCE) as session:
        began = time.monotonic()
        with pytest.raises(SessionLostError, match=r"sent nothing for 0\.3 s"):
            upscale(session, 30)
        assert time.monotonic() - began < 5
    released.set()


def test_close_from_another_thread_ends_a_wait(serve: FakeServe) -> None:
    released = threading.Event()

    def hang(context: grpc.ServicerContext) -> None:
        released.wait(20)

    serve.before = {(1, 1): hang}
    with client_of(serve) as client, client.open_session(16, 16, retry=ONCE) as session:
        threading.Timer(0.2, session.close).start()
        with pytest.raises(StreamClosedError):
            upscale(session, 30)
    released.set()


def test_a_session_does_not_outlive_its_client(serve: FakeServe) -> None:
    with client_of(serve) as client:
        session = client.open_session(16, 16, retry=ONCE)
        upscaled = session.upscale(np.zeros((16, 16, 3), np.uint8) for _ in range(500))
        next(upscaled)
    with pytest.raises(StreamClosedError, match="was closed"):
        list(upscaled)
    session.close()
    with pytest.raises(StreamClosedError, match="make another one"):
        client.open_session(16, 16, retry=ONCE)


def test_nobody_there() -> None:
    began = time.monotonic()
    with Client("127.0.0.1:1") as client, pytest.raises(ServerUnreachableError, match=r"127\.0\.0\.1:1: start one"):
        client.open_session(16, 16, retry=ONCE)
    assert time.monotonic() - began < 6


def test_a_torchserve_without_our_model_is_named() -> None:
    serve = FakeServe()
    serve.gone = "Model not found: flashvsr0"
    with client_of(serve) as client, pytest.raises(ServerError, match="serves no FlashVSR model"):
        client.ping()
    serve.stop()


def test_the_least_loaded_engine_is_chosen_and_a_full_one_passed_over() -> None:
    serve = FakeServe(models=("flashvsr0", "flashvsr1", "flashvsr2"))
    try:
        serve.loads = {"flashvsr0": 2, "flashvsr1": 0, "flashvsr2": 1}
        with client_of(serve) as client:
            client.open_session(16, 16, retry=ONCE).close()
            serve.busy = {"flashvsr1"}
            client.open_session(16, 16, retry=ONCE).close()
            serve.busy = set(serve.models)
            with pytest.raises(ServerBusyError, match="full"):
                client.open_session(16, 16, retry=ONCE)
        assert serve.opened_on == ["flashvsr1", "flashvsr2"]
    finally:
        serve.stop()


def test_those_who_open_at_one_time_are_spread_over_engines_of_equal_load() -> None:
    """All of them see the loads of before any of them is there, as the fake's loads, which do not change."""
    serve = FakeServe(models=("flashvsr0", "flashvsr1"))
    try:
        with client_of(serve) as client:
            for _ in range(40):
                client.open_session(16, 16, retry=ONCE).close()
        assert set(serve.opened_on) == {"flashvsr0", "flashvsr1"}
    finally:
        serve.stop()


def test_a_stream_may_begin_in_mid_film_where_the_server_can(serve: FakeServe) -> None:
    spec = StreamSpec(16, 16, 2, first_frame=24)
    transport = GrpcTransport(serve.address)
    transport.open(spec).close()
    serve.knows_places = False
    with pytest.raises(ServerError, match="cannot begin in mid-film: update it"):
        transport.open(spec)
    transport.open(StreamSpec(16, 16, 2)).close()
    transport.close()
