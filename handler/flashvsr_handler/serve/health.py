"""Health as a client sees it: a ping through the handler, not TorchServe's own."""

from __future__ import annotations

import grpc
from flashvsr_proto import wire
from flashvsr_proto.torchserve.stub import InferenceStub, request
from flashvsr_proto.v1 import stream_pb2 as pb


def ping(stub: InferenceStub, model_name: str, timeout_s: float) -> pb.Pong | None:
    """Ask the handler of a model; None while it does not answer."""
    message = pb.StreamRequest(protocol_version=wire.PROTOCOL_VERSION, ping=pb.Ping())
    try:
        answer = stub.predictions(request(model_name, message.SerializeToString()), timeout=timeout_s)
    except grpc.RpcError:
        return None
    response = wire.parse(pb.StreamResponse, answer.prediction)
    return response.pong if response.HasField("pong") else None
