"""Health as a client sees it: a ping through the handler, not TorchServe's own."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from flashvsr_proto import wire
from flashvsr_proto.torchserve.stub import InferenceStub, request
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler.auth import first_token
from flashvsr_handler.serve.ports import LOOPBACK
from flashvsr_handler.serve.tls import Certificate, channel_to
from flashvsr_handler.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Doctor:
    """Asks one server's handlers how they are, with its own certificate and token."""

    address: str
    certificate: Certificate | None
    auth_file: str

    def channel(self) -> grpc.Channel:
        """Open a channel to the server."""
        return channel_to(self.address, self.certificate)

    def ping(self, channel: grpc.Channel, model_name: str, timeout_s: float | None) -> Ping:
        """Send a ping; the token is read anew, for it may have been changed."""
        try:
            token = first_token(self.auth_file)
        except SettingsError:
            token = ""  # refused, as everybody is until the file is mended
        return Ping(InferenceStub(channel), model_name, timeout_s, token)


def own_address(address: str) -> str:
    """Where this machine reaches a server that listens on HOST:PORT."""
    host, _, port = address.rpartition(":")
    return f"{LOOPBACK}:{port}" if host in ("0.0.0.0", "::", "[::]") else address


class Ping:
    """One ping on its way to the handler of a model, which holds it back while the model loads."""

    def __init__(self, stub: InferenceStub, model_name: str, timeout_s: float | None, token: str = "") -> None:
        message = pb.StreamRequest(protocol_version=wire.PROTOCOL_VERSION, ping=pb.Ping(), token=token)
        self._call = stub.predictions.future(request(model_name, message.SerializeToString()), timeout=timeout_s)

    @property
    def done(self) -> bool:
        """Whether it came back, in whatever way."""
        return self._call.done()

    def pong(self) -> pb.Pong | None:
        """Give the pong; None when the handler was not reached, or refused, as it does without a good token."""
        response = self._response()
        return response.pong if response is not None and response.HasField("pong") else None

    def was_heard(self) -> bool:
        """Whether the handler answered, if only to refuse: it lives."""
        return self._response() is not None

    def _response(self) -> pb.StreamResponse | None:
        try:
            return wire.parse(pb.StreamResponse, self._call.result().prediction)
        except (grpc.RpcError, wire.WireError):
            return None
