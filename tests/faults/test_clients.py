"""Clients that read slowly, vanish, stop half-way or send rubbish, beside one that does not."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from flashvsr_proto import wire
from flashvsr_proto.torchserve.inference_pb2 import PredictionsRequest
from flashvsr_proto.torchserve.stub import SERVICE, request
from flashvsr_proto.v1 import direct
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.e2e.serving import LIMITS, MODEL, Caller, Server, output, pictures, serving, wait_until
from tests.faults.conftest import Figure
from tests.faults.lab import VIEWER, environment

pytestmark = [pytest.mark.e2e, pytest.mark.faults]
IDLE_S = 3.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for these tests; each leaves it empty."""
    options = ("--max-sessions", "4", "--idle-timeout", str(IDLE_S))
    with (
        (tmp_path_factory.mktemp("faults") / "stderr").open("w+") as errors,
        serving(errors, *options, environment=environment()) as started,
    ):
        yield started


@pytest.fixture
def caller(server: Server) -> Iterator[Caller]:
    made = Caller(server.address)
    yield made
    assert seconds_until_empty(made) < 4 * IDLE_S


def seconds_until_empty(caller: Caller) -> float:
    """How long it takes until no session and no byte is left."""
    start = time.monotonic()

    def empty() -> bool:
        pong = caller.one(ping=pb.Ping()).pong
        return (pong.sessions, pong.state_bytes) == (0, 0)

    assert wait_until(empty, 30)
    return time.monotonic() - start


def upscale(caller: Caller, session: str) -> tuple[float, list[float]]:
    """Send a whole clip; give all its seconds and those of each chunk."""
    start, chunks = time.monotonic(), []
    for index in range(4):
        begun = time.monotonic()
        assert caller.frames(session, index, pictures(25, index))[-1].HasField("done")
        chunks.append(time.monotonic() - begun)
    assert caller.flush(session, 4)[-1].HasField("done")
    caller.one(session_id=session, close=pb.Close())
    return time.monotonic() - start, chunks


class Direct:
    """One stream of the direct plane; requests are sent as they are given, answers read when they are wanted."""

    def __init__(self, server: Server, caller: Caller) -> None:
        port = caller.one(ping=pb.Ping()).pong.direct_port
        assert port, "the server has no direct plane"
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=LIMITS)
        self.stub = direct.UpscalerStub(self.channel)

    def call(self, *requests: pb.StreamRequest) -> grpc.CallIterator[pb.StreamResponse]:
        return self.stub.upscale(iter([message.SerializeToString() for message in requests]), timeout=60)


def frames(session: str, index: int, count: int, width: int = 32, height: int = 24) -> pb.StreamRequest:
    chunk = wire.encode(pictures(count, index, width, height))
    return pb.StreamRequest(protocol_version=1, session_id=session, chunk_index=index, frames=chunk)


@pytest.mark.parametrize("plane", ["torchserve", "direct"])
def test_slow_reader(server: Server, caller: Caller, figure: Figure, plane: str) -> None:
    alone, _ = upscale(caller, caller.open())
    slow = caller.open(480, 270, 4)  # 75 frames of 6.2 MB that nobody reads
    chunks = [frames(slow, index, 25, 480, 270) for index in range(3)]
    answers: list[grpc.CallIterator[object]] = []
    if plane == "direct":
        answers.append(Direct(server, caller).call(*chunks))  # type: ignore[arg-type]
    else:
        answers.append(caller.stub.stream_predictions(request(MODEL, chunks[0].SerializeToString(), stream=True)))  # type: ignore[arg-type]
    time.sleep(1)
    beside, _ = upscale(caller, caller.open())
    figure("other_clip_alone_s", alone)
    figure("other_clip_beside_s", beside)
    answers[0].cancel()  # type: ignore[no-untyped-call]
    caller.one(session_id=slow, close=pb.Close())
    assert beside < alone + 10


@pytest.mark.parametrize("plane", ["torchserve", "direct"])
def test_vanished_client(server: Server, caller: Caller, figure: Figure, plane: str) -> None:
    viewer = subprocess.Popen(
        [sys.executable, "-c", VIEWER, server.address, plane], stdout=subprocess.PIPE, text=True, env=environment()
    )
    assert viewer.stdout is not None
    assert viewer.stdout.readline() == "streaming\n"
    assert caller.one(ping=pb.Ping()).pong.sessions == 1
    viewer.send_signal(signal.SIGKILL)
    viewer.wait()
    viewer.stdout.close()
    seconds = seconds_until_empty(caller)
    figure("freed_after_s", seconds)
    assert seconds < 2 * IDLE_S + 3
    if plane == "direct":  # noticed by the connection: sooner than by silence
        assert seconds < IDLE_S


def test_half_closed_stream(server: Server, caller: Caller, figure: Figure) -> None:
    """The client says that no more requests follow, without flush or close: it gets its answers, then all is freed."""
    session = caller.open()
    answers = list(Direct(server, caller).call(frames(session, 0, 25), frames(session, 1, 8)))
    assert [answer.chunk_index for answer in answers if answer.HasField("done")] == [0, 1]
    assert sum(len(wire.decode(answer.frames)) for answer in answers if answer.HasField("frames")) == 29
    figure("freed_after_s", seconds_until_empty(caller))


def test_half_closed_stream_of_the_call_that_is_not_served(server: Server, caller: Caller) -> None:
    call = caller.channel.stream_stream(
        f"/{SERVICE}/StreamPredictions2",
        request_serializer=PredictionsRequest.SerializeToString,
        response_deserializer=bytes,
    )
    worker = server.worker.pid
    ping = pb.StreamRequest(protocol_version=1, ping=pb.Ping()).SerializeToString()
    for requests in ([], [request(MODEL, ping)]):
        list(call(iter(requests), timeout=20))
    assert caller.answers()
    assert server.worker.pid == worker


def corruptions() -> Iterator[tuple[str, bytes]]:
    whole = frames("SESSION", 0, 25).SerializeToString()
    rng = np.random.default_rng(0)
    yield "nothing", b""
    for length in (1, 10, len(whole) // 2, len(whole) - 1):
        yield f"cut at {length}", whole[:length]
    for seed in range(20):
        spoilt = bytearray(whole)
        for place in rng.integers(0, 60, 3):  # the head: lengths, sizes and formats
            spoilt[place] = int(rng.integers(0, 256))
        yield f"bytes replaced, {seed}", bytes(spoilt)


def test_corrupted_chunks(server: Server, caller: Caller, figure: Figure) -> None:
    session, worker = caller.open(), server.worker.pid
    slowest = 0.0
    for name, spoilt in corruptions():
        start = time.monotonic()
        wrapped = request(MODEL, spoilt, stream=True)
        answers = list(caller.stub.stream_predictions(wrapped, timeout=20))
        slowest = max(slowest, time.monotonic() - start)
        assert wire.parse(pb.StreamResponse, answers[-1].prediction).HasField("error"), name
    figure("slowest_refusal_s", slowest)
    assert len(output(caller.frames(session, 0, pictures(25)))) == 21
    assert server.worker.pid == worker
    caller.one(session_id=session, close=pb.Close())


def test_two_clients_never_see_one_anothers_frames(server: Server, caller: Caller) -> None:
    """The waiting engine writes the session's seed into each picture."""
    wrong: list[str] = []

    def watch(seed: int) -> None:
        own = Caller(server.address)
        opened = own.one(open=pb.Open(width=32, height=24, scale=2, seed=seed))
        made = (output(own.frames(opened.session_id, index, pictures(25, index))) for index in range(20))
        wrong.extend(f"session {seed}, chunk {n}" for n, part in enumerate(made) if (part[:, 0, 0] != seed).any())
        own.one(session_id=opened.session_id, close=pb.Close())

    watchers = [threading.Thread(target=watch, args=(seed,)) for seed in (11, 22, 33, 44)]
    for watcher in watchers:
        watcher.start()
    for watcher in watchers:
        watcher.join(120)
    assert not wrong
    assert not any(watcher.is_alive() for watcher in watchers)
