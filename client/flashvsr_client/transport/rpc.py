"""One request to TorchServe and its answer, with the deadline per message.

Raises :class:`AttemptError` for what goes wrong, :class:`StreamClosedError` after its own end.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, Timer
from typing import TYPE_CHECKING, Final

import grpc
from flashvsr_proto import wire
from flashvsr_proto.torchserve.inference_pb2 import PredictionResponse
from flashvsr_proto.torchserve.stub import InferenceStub, request
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_client.errors import ServerError, SessionLostError, StreamClosedError
from flashvsr_client.transport.failures import AttemptError, of_error, of_status

# Messages are bounded by the server, which checks sizes at open; gRPC's own limit of 4 MiB is below one frame.
# Straight to the server: a proxy for web pages is of no use to a stream of video.
_OPTIONS: Final = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
]

if TYPE_CHECKING:
    Call = grpc.CallIterator[PredictionResponse]  # known to grpc's stubs only


class Rpc:
    """The calls of one server. Safe to use from several threads."""

    def __init__(self, server: str) -> None:
        """``server`` is HOST:PORT; nothing is connected before the first call."""
        self.server = server
        self._channel = grpc.insecure_channel(server, options=_OPTIONS)
        self._stub = InferenceStub(self._channel)
        self._closed = False

    def ask(self, model: str, message: pb.StreamRequest, seconds: float) -> pb.StreamResponse:
        """Send a control message and give its one answer, or raise after ``seconds``."""
        self._check_open()
        in_session = bool(message.session_id)
        try:
            answer = self._stub.predictions(request(model, message.SerializeToString()), timeout=seconds)
        except grpc.RpcError as failure:
            raise of_status(failure, self.server, in_session=in_session) from failure
        return self._parsed(answer, in_session=in_session)

    def start(self, model: str, message: bytes) -> Call:
        """Send the serialised request of a chunk; its answer is read by :meth:`answers`."""
        self._check_open()
        return self._stub.stream_predictions(request(model, message, stream=True))

    def answers(self, call: Call, seconds: float) -> Iterator[pb.StreamResponse]:
        """Give the messages of a chunk's answer; each may take ``seconds``."""
        expired = Event()
        messages = iter(call)

        def expire() -> None:
            expired.set()
            call.cancel()  # type: ignore[no-untyped-call]  # untyped in grpc's stubs

        while True:
            timer = Timer(seconds, expire)
            timer.daemon = True
            timer.start()
            try:
                answer = next(messages, None)
            except grpc.RpcError as failure:
                if expired.is_set():
                    text = f"the server at {self.server} sent nothing for {seconds:g} s: see its log"
                    raise AttemptError(SessionLostError(text)) from failure
                raise of_status(failure, self.server, in_session=True) from failure
            finally:
                timer.cancel()
            if answer is None:
                return
            yield self._parsed(answer, in_session=True)

    def close(self) -> None:
        """Cancel what is running and disconnect."""
        self._closed = True
        self._channel.close()

    def _check_open(self) -> None:
        if self._closed:
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
