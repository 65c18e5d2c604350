"""The gRPC transport against a small server that answers as TorchServe and our handler do, faults included."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from flashvsr_client import (
    Client,
    ClientError,
    Retry,
    ServerBusyError,
    ServerError,
    ServerUnreachableError,
    Session,
    SessionLostError,
    StreamClosedError,
    Timeout,
)
from flashvsr_client.chunks import Frame
from flashvsr_proto import wire
from flashvsr_proto.torchserve.inference_pb2 import PredictionResponse, PredictionsRequest
from flashvsr_proto.torchserve.stub import MANY_ANSWERS, ONE_ANSWER, SERVICE
from flashvsr_proto.v1 import stream_pb2 as pb

Fault = Callable[[grpc.ServicerContext], "pb.Error | pb.Frames | None"]
FIRST, CHUNK = 5, 2


class FakeServe:
    """Repeats pixels, three frames late. A fault strikes one attempt at a chunk, before it or midway."""

    def __init__(self, models: tuple[str, ...] = ("flashvsr0",)) -> None:
        self.models = models
        self.loads = dict.fromkeys(models, 0)
        self.before: dict[tuple[int, int], Fault] = {}  # (chunk index, attempt) -> fault
        self.midway: dict[tuple[int, int], Fault] = {}
        self.busy: set[str] = set()
        self.attempts: Counter[int] = Counter()
        self.opened_on: list[str] = []
        self.gone = ""
        self.closed = 0
        self.unaccepted = 0
        self.most_unaccepted = 0
        self._frames: list[Frame] = []
        self._sent = 0
        self._answers: dict[int, list[Frame]] = {}
        self._scale = 2
        self._worker = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0)

    def _handlers(self) -> grpc.GenericRpcHandler[PredictionsRequest, PredictionResponse]:
        kinds = {
            "Predictions": grpc.unary_unary_rpc_method_handler(
                self._control, PredictionsRequest.FromString, PredictionResponse.SerializeToString
            ),
            "StreamPredictions": grpc.unary_stream_rpc_method_handler(
                self._chunk, PredictionsRequest.FromString, PredictionResponse.SerializeToString
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, kinds)

    def _control(self, call: PredictionsRequest, context: grpc.ServicerContext) -> PredictionResponse:
        request = wire.parse(pb.StreamRequest, call.input[ONE_ANSWER])
        response = pb.StreamResponse(session_id=request.session_id)
        if self.gone:
            context.abort(grpc.StatusCode.INTERNAL, self.gone)
        match request.WhichOneof("body"):
            case "ping":
                response.pong.CopyFrom(pb.Pong(models=self.models, sessions=self.loads[call.model_name]))
            case "open" if call.model_name in self.busy:
                response.error.CopyFrom(pb.Error(code=pb.ERROR_CODE_BUSY, message="full", retryable=True))
            case "open":
                self.opened_on.append(call.model_name)
                self._scale = request.open.scale
                response.session_id = "s1"
                response.opened.CopyFrom(
                    pb.Opened(
                        output_width=request.open.width * self._scale,
                        output_height=request.open.height * self._scale,
                        first_chunk=FIRST,
                        chunk=CHUNK,
                        max_chunk_frames=4,
                        model="fake",
                    )
                )
            case "close":
                self.closed += 1
                response.closed.SetInParent()
        return _packed(response)

    def _chunk(self, call: PredictionsRequest, context: grpc.ServicerContext) -> Iterator[PredictionResponse]:
        request = wire.parse(pb.StreamRequest, call.input[MANY_ANSWERS])
        index = request.chunk_index
        self.unaccepted += 1
        self.most_unaccepted = max(self.most_unaccepted, self.unaccepted)
        with self._worker:
            self.unaccepted -= 1
            self.attempts[index] += 1
            yield _packed(pb.StreamResponse(accepted=pb.Accepted()))
            if (answer := self._strike(self.before, index, context)) is not None:
                yield answer
                return
            if index not in (len(self._answers), len(self._answers) - 1):
                yield _packed(pb.StreamResponse(error=pb.Error(code=pb.ERROR_CODE_OUT_OF_ORDER, message="order")))
                return
            frames = self._answer(request)
            for position, frame in enumerate(frames):
                if position == 1 and (answer := self._strike(self.midway, index, context)) is not None:
                    yield answer
                    return
                yield _packed(pb.StreamResponse(frames=wire.encode(frame[None])))
            yield _packed(pb.StreamResponse(done=pb.Done(frames=len(frames))))

    def _strike(
        self, faults: dict[tuple[int, int], Fault], index: int, context: grpc.ServicerContext
    ) -> PredictionResponse | None:
        fault = faults.get((index, self.attempts[index]))
        answer = fault(context) if fault else None
        if isinstance(answer, pb.Frames):
            return _packed(pb.StreamResponse(frames=answer))
        return None if answer is None else _packed(pb.StreamResponse(error=answer))

    def _answer(self, request: pb.StreamRequest) -> list[Frame]:
        if request.chunk_index not in self._answers:
            if request.WhichOneof("body") == "frames":
                self._frames.extend(wire.decode(request.frames))
                ready = len(self._frames) - 3
            else:
                ready = len(self._frames)
            fresh = self._frames[self._sent : max(ready, self._sent)]
            self._sent += len(fresh)
            self._answers[request.chunk_index] = [
                frame.repeat(self._scale, axis=0).repeat(self._scale, axis=1) for frame in fresh
            ]
        return self._answers[request.chunk_index]


def _packed(response: pb.StreamResponse) -> PredictionResponse:
    return PredictionResponse(prediction=response.SerializeToString())


def status(code: grpc.StatusCode, details: str) -> Fault:
    return lambda context: context.abort(code, details)


def typed(code: pb.ErrorCode, *, retryable: bool = False) -> Fault:
    return lambda context: pb.Error(code=code, message="as the server says", retryable=retryable)


def garbled(context: grpc.ServicerContext) -> pb.Frames:
    return pb.Frames(pixel_format=pb.PIXEL_FORMAT_RGB24, width=32, height=32, count=1, planes=[b"short"])


@pytest.fixture
def serve() -> Iterator[FakeServe]:
    fake = FakeServe()
    yield fake
    fake.stop()


def client_of(serve: FakeServe, *, message: float = 30.0) -> Client:
    return Client(serve.address, timeout=Timeout(message=message), retry=Retry(first_delay=0.01, max_delay=0.02))


def upscale(session: Session, count: int) -> list[int]:
    frames = (np.full((16, 16, 3), index, np.uint8) for index in range(count))
    return [int(frame[0, 0, 0]) for frame in session.upscale(frames)]


@pytest.mark.parametrize("count", [1, 4, 5, 6, 30])
def test_frames_go_there_and_back(serve: FakeServe, count: int) -> None:
    with client_of(serve) as client, client.open_session(16, 16, scale=3) as session:
        assert (session.info.width, session.info.height) == (48, 48)
        assert upscale(session, count) == list(range(count))
    assert serve.closed == 1


def test_a_chunk_is_sent_when_the_one_before_has_begun(serve: FakeServe) -> None:
    with client_of(serve) as client, client.open_session(16, 16) as session:
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

    with client_of(serve) as client, client.open_session(16, 16) as session:
        upscaled = session.upscale(counted())
        next(upscaled)
        time.sleep(0.3)
        assert taken <= 5 + 4 * CHUNK
        upscaled.close()


TRANSIENT = [
    status(grpc.StatusCode.UNAVAILABLE, "Prediction failed"),
    status(grpc.StatusCode.UNAVAILABLE, "Socket closed"),
    status(grpc.StatusCode.INTERNAL, "Model flashvsr0 has no worker to serve inference request"),
    typed(pb.ERROR_CODE_BUSY, retryable=True),
]


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_failure_that_passes_costs_nothing_but_time(serve: FakeServe, fault: Fault) -> None:
    serve.before = {(0, 1): fault, (3, 1): fault, (3, 2): fault}
    with client_of(serve) as client, client.open_session(16, 16) as session:
        assert upscale(session, 20) == list(range(20))
    assert serve.attempts[3] >= 3


@pytest.mark.parametrize("fault", TRANSIENT)
def test_an_answer_that_breaks_off_is_asked_for_again_and_no_frame_comes_twice(serve: FakeServe, fault: Fault) -> None:
    last = 10  # the flush: no further chunk is under way that would take the answer's place
    serve.midway = {(last, 1): fault, (last, 2): fault}
    with client_of(serve) as client, client.open_session(16, 16) as session:
        assert upscale(session, 20) == list(range(20))
    assert serve.attempts[last] == 3


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (status(grpc.StatusCode.RESOURCE_EXHAUSTED, "Worker died."), SessionLostError, "worker .* died"),
        (status(grpc.StatusCode.INTERNAL, "Worker died."), SessionLostError, "worker .* died"),
        (status(grpc.StatusCode.INVALID_ARGUMENT, "what?"), ServerError, "INVALID_ARGUMENT .what?"),
        (status(grpc.StatusCode.CANCELLED, "RST"), ServerError, "max_request_size"),
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
    with client_of(serve) as client, client.open_session(16, 16) as session, pytest.raises(kind, match=text) as caught:
        upscale(session, 30)
    assert "\n" not in str(caught.value)
    assert serve.attempts[2] == 1


def test_a_failure_that_comes_again_and_again_ends_the_stream(serve: FakeServe) -> None:
    fault = status(grpc.StatusCode.UNAVAILABLE, "Prediction failed")
    serve.before = {(2, attempt): fault for attempt in range(1, 20)}
    with client_of(serve) as client, client.open_session(16, 16) as session, pytest.raises(ServerError):
        upscale(session, 30)
    assert serve.attempts[2] == Retry().attempts


def test_a_server_that_goes_away_is_session_lost(serve: FakeServe) -> None:
    with client_of(serve) as client, client.open_session(16, 16) as session:
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
    with client_of(serve, message=0.3) as client, client.open_session(16, 16) as session:
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
    with client_of(serve) as client, client.open_session(16, 16) as session:
        threading.Timer(0.2, session.close).start()
        with pytest.raises(StreamClosedError):
            upscale(session, 30)
    released.set()


def test_nobody_there() -> None:
    began = time.monotonic()
    with Client("127.0.0.1:1") as client, pytest.raises(ServerUnreachableError, match=r"127\.0\.0\.1:1: start one"):
        client.open_session(16, 16)
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
            client.open_session(16, 16).close()
            serve.busy = {"flashvsr1"}
            client.open_session(16, 16).close()
            serve.busy = set(serve.models)
            with pytest.raises(ServerBusyError, match="full"):
                client.open_session(16, 16)
        assert serve.opened_on == ["flashvsr1", "flashvsr2"]
    finally:
        serve.stop()
