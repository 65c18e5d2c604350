"""The direct plane over a fake engine: the same answers, and what happens to whoever misbehaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import numpy as np
import pytest
from flashvsr_handler.direct import DirectPlane
from flashvsr_handler.protocols import Pictures
from flashvsr_handler.service import Service
from flashvsr_handler.settings import Settings
from flashvsr_proto import wire
from flashvsr_proto.v1 import direct
from flashvsr_proto.v1 import stream_pb2 as pb
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.unit.handler.certificates import certificate
from tests.unit.handler.fake_engine import FakeEngine, FakePlan

SIZE, SCALE = 16, 2
TOKEN = "a-token-of-somebody"


class Plane:
    """A direct plane that listens, and the shortest way to talk to it."""

    def __init__(self, service: Service, plane: DirectPlane, credentials: grpc.ChannelCredentials | None) -> None:
        self.service, self.plane = service, plane
        address, options = f"localhost:{plane.port}", [("grpc.max_receive_message_length", -1)]
        self.channel = (
            grpc.insecure_channel(address, options)
            if credentials is None
            else grpc.secure_channel(address, credentials, options)
        )
        self.engine: FakeEngine = service.parking.engine  # type: ignore[assignment]

    def stream(self, requests: Iterator[bytes], token: str = "") -> Any:
        return direct.UpscalerStub(self.channel).upscale(requests, metadata=direct.bearer(token))

    def ask(self, *requests: pb.StreamRequest, token: str = "") -> list[pb.StreamResponse]:
        return list(self.stream(iter([message(request) for request in requests]), token))

    def open(self, token: str = "") -> str:
        (response,) = self.ask(opening(), token=token)
        assert response.HasField("opened"), response
        return response.session_id

    def health(self) -> Any:
        stub = health_pb2_grpc.HealthStub(self.channel)
        return stub.Check(health_pb2.HealthCheckRequest(service=direct.SERVICE)).status


@contextmanager
def plane(credentials: grpc.ChannelCredentials | None = None, **changes: object) -> Iterator[Plane]:
    settings = replace(Settings(direct_host="localhost", direct_port=0), **changes)  # type: ignore[arg-type]
    service = Service(FakeEngine(), "cpu", 10**9, settings)
    served = DirectPlane(service, settings)
    made = Plane(service, served, credentials)
    try:
        yield made
    finally:
        made.channel.close()
        served.stop(1)


def message(request: pb.StreamRequest) -> bytes:
    request.protocol_version = 1
    return request.SerializeToString()


def opening(width: int = SIZE) -> pb.StreamRequest:
    return pb.StreamRequest(open=pb.Open(width=width, height=width, scale=SCALE))


def chunk(session: str, index: int, frames: Pictures) -> pb.StreamRequest:
    return pb.StreamRequest(session_id=session, chunk_index=index, frames=wire.encode(frames))


def pictures(count: int, seed: int = 0, width: int = SIZE) -> Pictures:
    return np.random.default_rng(seed).integers(0, 256, (count, width, width, 3), np.uint8)


def output(answers: list[pb.StreamResponse]) -> Pictures:
    return np.concatenate([wire.decode(answer.frames) for answer in answers if answer.HasField("frames")])


def soon(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_session_on_one_stream() -> None:
    frames = pictures(41)
    with plane() as served:
        session = served.open()
        requests = [chunk(session, 0, frames[:25]), chunk(session, 1, frames[25:33]), chunk(session, 2, frames[33:])]
        flush = pb.StreamRequest(session_id=session, chunk_index=3, flush=pb.Flush())
        answers = served.ask(*requests, flush, pb.StreamRequest(session_id=session, close=pb.Close()))
        assert [a.chunk_index for a in answers if a.HasField("accepted")] == [0, 1, 2, 3]
        assert answers[-1].closed == pb.Closed(frames_in=41, frames_out=41)
        np.testing.assert_array_equal(output(answers), frames.repeat(SCALE, 1).repeat(SCALE, 2))


def test_streams_side_by_side_get_their_own_frames() -> None:
    answers: dict[int, list[pb.StreamResponse]] = {}
    with plane() as served:

        def work(seed: int) -> None:
            session, frames = served.open(), pictures(41, seed)
            parts = [frames[:25], frames[25:33], frames[33:]]
            requests = [chunk(session, index, part) for index, part in enumerate(parts)]
            answers[seed] = served.ask(*requests, pb.StreamRequest(session_id=session, chunk_index=3, flush=pb.Flush()))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for seed in range(4):
        np.testing.assert_array_equal(output(answers[seed]), pictures(41, seed).repeat(SCALE, 1).repeat(SCALE, 2))


def test_a_corrupted_chunk_is_refused_and_the_stream_goes_on() -> None:
    with plane() as served:
        session, frames = served.open(), pictures(25)
        good, bad = chunk(session, 0, frames), chunk(session, 0, frames)
        bad.frames.planes[0] = bad.frames.planes[0][:-1]
        refused, garbage, *answers = served.ask(bad, pb.StreamRequest(session_id=session, chunk_index=9), good)
        for answer in (refused, garbage):
            assert answer.error.code == pb.ERROR_CODE_INVALID_REQUEST
        assert answers[-1].done.frames_in == 25
        answers = list(served.stream(iter([b"\xff garbage"])))
        assert answers[0].error.code == pb.ERROR_CODE_INVALID_REQUEST


def test_a_client_that_vanishes_frees_its_session_soon_and_may_come_back() -> None:
    with plane(reconnect_s=1.0) as served:
        session, requests = served.open(), SimpleQueue[bytes]()
        stream = served.stream(iter(requests.get, b""))
        requests.put(message(chunk(session, 0, pictures(25))))
        assert soon(lambda: next(stream).HasField("done"))
        assert served.service.direct_streams == 1
        stream.cancel()
        requests.put(b"")
        assert soon(lambda: served.service.direct_streams == 0)
        again = served.ask(chunk(session, 1, pictures(8)))  # on another stream, within the time to come back
        assert again[-1].HasField("done")
        time.sleep(1.1)
        served.service.housekeep()
        assert served.service.store.counters.expired == 1
        assert all(made.closed for made in served.engine.sessions)


def test_a_stream_that_asks_nothing_for_long_is_ended() -> None:
    with plane(idle_timeout_s=0.3) as served:
        silence, requests = SimpleQueue[bytes](), SimpleQueue[bytes]()
        never, once = served.stream(iter(silence.get, b"")), served.stream(iter(requests.get, b""))
        assert soon(lambda: served.service.direct_streams == 2)
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:  # one of them goes on
            requests.put(message(pb.StreamRequest(ping=pb.Ping())))
            assert next(once).HasField("pong")
            served.plane.end_silent()
        assert soon(lambda: served.service.direct_streams == 1)
        with pytest.raises(grpc.RpcError) as ended:
            next(never)
        assert ended.value.code() is grpc.StatusCode.CANCELLED
        for queue in (silence, requests):
            queue.put(b"")
        assert list(once) == []


def test_another_callers_stream_does_not_end_a_session(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"me {TOKEN}\nother another-token-than-it\n")
    with plane(auth_file=str(tmp_path / "tokens"), reconnect_s=0.1) as served:
        (opened,) = served.service.handle(
            pb.StreamRequest(protocol_version=1, token=TOKEN, open=opening().open).SerializeToString(), many=False
        )
        (refused,) = served.ask(chunk(opened.session_id, 0, pictures(2)), token="another-token-than-it")
        assert refused.error.code == pb.ERROR_CODE_NO_SESSION
        time.sleep(0.2)
        served.service.housekeep()
        assert served.service.store.counters.active == 1


def test_a_bomb_of_zeros_is_refused_and_the_plane_goes_on() -> None:
    zeros = b"\x12" + b"\x80\x80\x80\x40" + bytes(128 << 20)  # a session id of 128 MiB, as 130 kB of gzip
    with plane() as served:
        address, unlimited = f"localhost:{served.plane.port}", [("grpc.max_send_message_length", -1)]
        with (
            grpc.insecure_channel(address, unlimited, grpc.Compression.Gzip) as channel,
            pytest.raises(grpc.RpcError) as refused,
        ):
            list(direct.UpscalerStub(channel).upscale(iter([zeros])))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert served.open()


def test_a_slow_reader_holds_back_nobody_else() -> None:
    side = 256
    with plane(max_message_bytes=8 << 20, message_target_bytes=1 << 20) as served:
        (opened,) = served.ask(opening(side))
        slow, big = opened.session_id, pictures(40, width=side)
        requests = iter([message(chunk(slow, index, big)) for index in range(8)])
        stream = served.stream(requests)
        next(stream)  # and never again: 31 MB an answer are far more than a window of HTTP/2
        other = served.open()
        began = time.monotonic()
        for index in range(20):
            assert served.ask(chunk(other, index, pictures(8)))[-1].HasField("done")
        assert time.monotonic() - began < 20
        first = next(made for made in served.engine.sessions if made.size == (side, side))
        assert first.frames_in < 8 * 40  # the engine's work waits for the reader
        stream.cancel()
        assert soon(lambda: served.service.direct_streams == 0)


def test_a_stream_without_a_token_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"me {TOKEN}\n")
    with plane(auth_file=str(tmp_path / "tokens")) as served:
        for token in ("", "another-token-than-it"):
            with pytest.raises(grpc.RpcError) as refused:
                served.ask(opening(), token=token)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        session = served.open(TOKEN)
        assert served.ask(chunk(session, 0, pictures(25)), token=TOKEN)[-1].HasField("done")


def test_tls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    trust = grpc.ssl_channel_credentials(cert.read_bytes())
    with plane(trust, tls_cert=str(cert), tls_key=str(key)) as served:
        assert served.open()
        with grpc.insecure_channel(f"localhost:{served.plane.port}") as plain, pytest.raises(grpc.RpcError):
            list(direct.UpscalerStub(plain).upscale(iter([message(opening())])))


def test_health_follows_the_drain() -> None:
    with plane() as served:
        assert served.health() == health_pb2.HealthCheckResponse.SERVING
        served.plane.show_health(serving=False)
        assert served.health() == health_pb2.HealthCheckResponse.NOT_SERVING


def test_one_stream_is_planned_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    planning, most = 0, 0
    plan = FakeEngine.plan

    def slow(engine: FakeEngine, width: int, height: int, scale: int | None = None) -> FakePlan:
        nonlocal planning, most
        planning += 1
        most = max(most, planning)
        time.sleep(0.05)
        planning -= 1
        return plan(engine, width, height, scale)

    monkeypatch.setattr(FakeEngine, "plan", slow)
    with plane() as served:
        streams = [served.stream(iter([message(opening())])) for _ in range(4)]
        assert all(next(stream).HasField("opened") for stream in streams)
    assert most == 1
