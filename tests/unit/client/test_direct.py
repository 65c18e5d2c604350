"""The direct plane as the client sees it: taken when it is there, left when it breaks, and no frame lost by either."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from flashvsr_client import Access, Client, RetryPolicy, UsageError
from flashvsr_proto.torchserve.stub import request
from flashvsr_proto.v1 import direct
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.unit.client.fake_serve import FakeServe


class DirectServe(FakeServe):
    """The fake server with a direct plane, which breaks off at a chunk: before its answer, or in the middle of it."""

    def __init__(self, breaks_at: int | None = None, *, midway: bool = False) -> None:
        super().__init__()
        self.breaks_at, self.midway_only = breaks_at, midway
        self.direct_chunks: list[int] = []
        self.tokens: set[str] = set()
        self._plane = grpc.server(ThreadPoolExecutor(4))
        upscale = grpc.stream_stream_rpc_method_handler(
            self._upscale, request_deserializer=None, response_serializer=pb.StreamResponse.SerializeToString
        )
        handlers = grpc.method_handlers_generic_handler(direct.SERVICE, {direct.UPSCALE: upscale})
        self._plane.add_generic_rpc_handlers((handlers,))
        self.direct_port = self._plane.add_insecure_port("127.0.0.1:0")
        self._plane.start()

    def stop(self) -> None:
        self._plane.stop(0)
        super().stop()

    def _upscale(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[pb.StreamResponse]:
        self.tokens |= {str(value) for key, value in context.invocation_metadata() if key == direct.TOKEN}
        for data in requests:
            index = pb.StreamRequest.FromString(data).chunk_index
            self.direct_chunks.append(index)
            if index == self.breaks_at and not self.midway_only:
                context.abort(grpc.StatusCode.UNAVAILABLE, "broken on purpose")
            for position, answer in enumerate(self._chunk(request("flashvsr0", data, stream=True), context)):
                if index == self.breaks_at and position == 2:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "broken on purpose")
                response = pb.StreamResponse.FromString(answer.prediction)
                response.chunk_index = index
                yield response


def run(serve: FakeServe, count: int = 30, access: Access | None = None) -> list[int]:
    frames = (np.full((16, 16, 3), index, np.uint8) for index in range(count))
    retry = RetryPolicy(first_delay=0.01, max_delay=0.02)
    with Client(serve.address, retry=retry, access=access) as client, client.open_session(16, 16) as session:
        return [int(frame[0, 0, 0]) for frame in session.upscale(frames)]


def test_chunks_take_the_direct_plane_where_there_is_one() -> None:
    serve = DirectServe()
    try:
        assert run(serve, access=Access("a-token")) == list(range(30))
        assert serve.direct_chunks == list(range(len(serve.direct_chunks)))
        assert max(serve.attempts.values()) == 1
        assert serve.tokens == {"Bearer a-token"}
    finally:
        serve.stop()


def test_chunks_leave_the_direct_plane_alone_when_they_are_told_to() -> None:
    serve = DirectServe()
    try:
        assert run(serve, access=Access(direct=False)) == list(range(30))
        assert not serve.direct_chunks
    finally:
        serve.stop()


@pytest.mark.parametrize("midway", [False, True])
@pytest.mark.parametrize("at", [0, 1, 4])
def test_a_direct_plane_that_breaks_costs_no_frame(at: int, midway: bool) -> None:
    serve = DirectServe(at, midway=midway)
    try:
        assert run(serve) == list(range(30))
        assert at in serve.direct_chunks
        assert max(serve.direct_chunks) <= at + 2  # the rest went the other way
    finally:
        serve.stop()


def test_a_direct_plane_that_cannot_be_reached_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashvsr_client.transport.direct.CONNECT_SECONDS", 0.2)
    serve = FakeServe()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        serve.direct_port = silent.getsockname()[1]
        try:
            assert run(serve) == list(range(30))
        finally:
            serve.stop()


def test_a_token_comes_from_a_file_or_the_environment_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-the-file\n")
    assert Access.read({"FLASHVSR_TOKEN": "from-outside"}).token == "from-outside"
    access = Access.read({"FLASHVSR_TOKEN": "from-outside"}, token_file=tmp_path / "token")
    assert access.token == "from-the-file"
    assert "from-the-file" not in repr(access)
    for wrong in ({"token_file": tmp_path / "absent"}, {"tls_ca": tmp_path / "absent"}):
        with pytest.raises(UsageError, match="cannot be read"):
            Access.read({}, **wrong).root_certificates()  # type: ignore[arg-type]
