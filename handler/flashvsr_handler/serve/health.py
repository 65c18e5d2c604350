"""Health as a client sees it: a ping through the handler, not TorchServe's own."""

from __future__ import annotations

import grpc
from flashvsr_proto import wire
from flashvsr_proto.torchserve.stub import InferenceStub, request
from flashvsr_proto.v1 import stream_pb2 as pb


class Ping:
    """One ping on its way to the handler of a model, which holds it back while the model loads."""

    def __init__(self, stub: InferenceStub, model_name: str, timeout_s: float | None) -> None:
        message = pb.StreamRequest(protocol_version=wire.PROTOCOL_VERSION, ping=pb.Ping())
        self._call = stub.predictions.future(request(model_name, message.SerializeToString()), timeout=timeout_s)

    @property
    def done(self) -> bool:
        """Whether it came back, in whatever way."""
        return self._call.done()

    def pong(self) -> pb.Pong | None:
        """Give what the handler answered; None when it was not reached."""
        try:
            answer = self._call.result()
        except grpc.RpcError:
            return None
        response = wire.parse(pb.StreamResponse, answer.prediction)
        return response.pong if response.HasField("pong") else None
