"""A typed stub for the direct plane: the worker's own port beside TorchServe."""

from __future__ import annotations

from typing import Final

import grpc

from flashvsr_proto.v1.stream_pb2 import StreamResponse

SERVICE: Final = "flashvsr.v1.Upscaler"
UPSCALE: Final = "Upscale"
TOKEN: Final = "authorization"
"""Metadata that carries ``Bearer TOKEN``; where the server asks who calls, a stream without it is refused."""
BEARER: Final = "Bearer "


class UpscalerStub:
    """The one call, bound to a channel; requests go in serialised, so that they can be sent again elsewhere."""

    upscale: grpc.StreamStreamMultiCallable[bytes, StreamResponse]
    """Requests of a session, in order; answers in the same order."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.upscale = channel.stream_stream(
            f"/{SERVICE}/{UPSCALE}",
            request_serializer=None,
            response_deserializer=StreamResponse.FromString,
        )


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Metadata for that token, none for an empty one."""
    return ((TOKEN, BEARER + token),) if token else ()
