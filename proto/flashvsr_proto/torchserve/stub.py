"""A typed stub for the three calls of TorchServe's gRPC inference API that this project makes."""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf.empty_pb2 import Empty

from flashvsr_proto.torchserve.inference_pb2 import (
    PredictionResponse,
    PredictionsRequest,
    TorchServeHealthResponse,
)

SERVICE: Final = "org.pytorch.serve.grpc.inference.InferenceAPIsService"
ONE_ANSWER: Final = "data"
"""Input under which a message travels that gets one answer: open, close, ping."""
MANY_ANSWERS: Final = "stream"
"""Input of frames, flush and clip, over StreamPredictions alone. The handler is not told which call it answers, and
a second message to a unary call ends TorchServe's worker thread: the name of the input is the caller's word for it."""


def request(model_name: str, message: bytes, *, stream: bool = False) -> PredictionsRequest:
    """Wrap a serialised ``StreamRequest`` for the model of that name; ``stream`` for ``stream_predictions``."""
    return PredictionsRequest(model_name=model_name, input={MANY_ANSWERS if stream else ONE_ANSWER: message})


class InferenceStub:
    """The calls, bound to one channel; each raises :class:`grpc.RpcError` on a status other than OK."""

    ping: grpc.UnaryUnaryMultiCallable[Empty, TorchServeHealthResponse]
    """TorchServe's own health: says Healthy long after a worker died, so ask the handler instead."""
    predictions: grpc.UnaryUnaryMultiCallable[PredictionsRequest, PredictionResponse]
    """One message, one answer: open, close, ping."""
    stream_predictions: grpc.UnaryStreamMultiCallable[PredictionsRequest, PredictionResponse]
    """One message, several answers: frames, flush, clip."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.ping = channel.unary_unary(
            f"/{SERVICE}/Ping",
            request_serializer=Empty.SerializeToString,
            response_deserializer=TorchServeHealthResponse.FromString,
        )
        self.predictions = channel.unary_unary(
            f"/{SERVICE}/Predictions",
            request_serializer=PredictionsRequest.SerializeToString,
            response_deserializer=PredictionResponse.FromString,
        )
        self.stream_predictions = channel.unary_stream(
            f"/{SERVICE}/StreamPredictions",
            request_serializer=PredictionsRequest.SerializeToString,
            response_deserializer=PredictionResponse.FromString,
        )
