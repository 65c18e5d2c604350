"""One request to TorchServe and its answer, with the deadline per message.

Raises :class:`AttemptError` for what goes wrong, :class:`StreamClosedError` after its own end.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from threading import Event, Timer
from typing import TYPE_CHECKING, Final

import grpc
from flashvsr_proto import wire
from flashvsr_proto.torchserve.inference_pb2 import PredictionResponse
from flashvsr_proto.torchserve.stub import InferenceStub, request
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_client.config import Access
from flashvsr_client.errors import ServerError, SessionLostError, StreamClosedError
from flashvsr_client.transport.failures import AttemptError, of_error, of_status

# Messages are bounded by the server, which checks sizes at open; gRPC's own limit of 4 MiB is below one frame.
# Straight to the server: a proxy for web pages is of no use to a stream of video. A server that restarts is back within
# half a minute: gRPC's own patience between attempts to connect grows to two.
OPTIONS: Final = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2000),
]

ROUTE: Final = "flashvsr-session"
"""Metadata by which a proxy keeps all calls of one session on one node: a random name, for open knows no id yet."""

if TYPE_CHECKING:
    Call = grpc.CallIterator[PredictionResponse]  # known to grpc's stubs only


class Patience:
    """Waits for messages of a call, and cancels it when one does not come in time."""

    def __init__(self, cancel: Callable[[], object], server: str) -> None:
        self._cancel = cancel
        self._server = server
        self._expired = Event()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Raise :class:`AttemptError` when the call fails in the block, or when that takes longer."""
        timer = Timer(seconds, self._expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        except grpc.RpcError as failure:
            if self._expired.is_set():
                text = f"the server at {self._server} sent nothing for {seconds:g} s: see its log"
                raise AttemptError(SessionLostError(text)) from failure
            raise of_status(failure, self._server, in_session=True) from failure
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self._expired.set()
        self._cancel()


class Rpc:
    """The calls of one server. Safe to use from several threads."""

    def __init__(self, server: str, access: Access | None = None) -> None:
        """``server`` is HOST:PORT; nothing is connected before the first call."""
        self.server = server
        self._access = access or Access()
        self.token = self._access.token
        self._channel = self.channel_to(server)
        self._stub = InferenceStub(self._channel)
        self._route = _route()
        self._closed = Event()

    def renamed(self) -> Rpc:
        """Give the same calls over the same connection, under another name: a proxy may send them to another node."""
        other = copy(self)
        other._route = _route()
        return other

    def channel_to(self, address: str) -> grpc.Channel:
        """Give a new channel to HOST:PORT, with TLS where the server has it."""
        if self._access.tls_ca is None:
            return grpc.insecure_channel(address, options=OPTIONS)
        credentials = grpc.ssl_channel_credentials(self._access.root_certificates())
        return grpc.secure_channel(address, credentials, options=OPTIONS)

    def ask(self, model: str, message: pb.StreamRequest, seconds: float) -> pb.StreamResponse:
        """Send a control message and give its one answer, or raise after ``seconds``."""
        self._check_open()
        message.token = self.token
        in_session = bool(message.session_id)
        try:
            wrapped = request(model, message.SerializeToString())
            answer = self._stub.predictions(wrapped, timeout=seconds, metadata=self._route)
        except grpc.RpcError as failure:
            raise of_status(failure, self.server, in_session=in_session) from failure
        return self._parsed(answer, in_session=in_session)

    def start(self, model: str, message: bytes) -> Call:
        """Send the serialised request of a chunk; its answer is read by :meth:`answers`."""
        self._check_open()
        return self._stub.stream_predictions(request(model, message, stream=True), metadata=self._route)

    def answers(self, call: Call, seconds: float) -> Iterator[pb.StreamResponse]:
        """Give the messages of a chunk's answer; each may take ``seconds``."""
        patience = Patience(call.cancel, self.server)
        messages = iter(call)
        while True:
            with patience.within(seconds):
                answer = next(messages, None)
            if answer is None:
                return
            yield self._parsed(answer, in_session=True)

    def close(self) -> None:
        """Cancel what is running and disconnect."""
        self._closed.set()
        self._channel.close()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise StreamClosedError(f"the client of {self.server} was closed: make another one")

    def _parsed(self, answer: PredictionResponse, *, in_session: bool) -> pb.StreamResponse:
        try:
            response = wire.parse(pb.StreamResponse, answer.prediction)
        except wire.WireError as error:
            text = f"the server at {self.server} sent an answer that cannot be read ({error}): is it a flashvsr-serve?"
            raise AttemptError(ServerError(text)) from error
        if response.WhichOneof("body") == "error":
            raise of_error(response.error, self.server, in_session=in_session)
        return response


def _route() -> tuple[tuple[str, str]]:
    return ((ROUTE, secrets.token_hex(8)),)
