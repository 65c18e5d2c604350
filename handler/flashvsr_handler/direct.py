"""The direct plane: frames past TorchServe, over one stream of the worker's own gRPC port for each session.

While the engine works on one chunk, the one before is encoded and sent, and the next one is received and decoded: a
thread of the stream's own for each of the four. A slow reader holds back its own stream alone, since HTTP/2's flow
control blocks the sending thread and bounded queues the others. A client that goes away is noticed at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import grpc
from flashvsr_proto.v1 import direct
from flashvsr_proto.v1 import stream_pb2 as pb
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from flashvsr_handler.admission import ENVELOPE_BYTES
from flashvsr_handler.errors import Unauthenticated
from flashvsr_handler.incoming import Incoming
from flashvsr_handler.parts import Parts
from flashvsr_handler.pipeline import overlapped
from flashvsr_handler.service import Service
from flashvsr_handler.settings import Settings, SettingsError
from flashvsr_handler.streams import Stream, Streams

AHEAD: Final = 4
"""Parts of answers that may wait to be encoded: a chunk of 8 frames is acceptance, frames and end."""
SPARE_STREAMS: Final = 8
"""Beside one a session: for health checks and clients that come back before the server notices that they left."""
KEEPALIVE_MS: Final = 10_000
"""A peer whose machine is gone is noticed after this and the next."""
KEEPALIVE_TIMEOUT_MS: Final = 5_000

logger = logging.getLogger(__name__)


class DirectPlane:
    """A gRPC server on a service, with grpc.health.v1 beside it."""

    def __init__(self, service: Service, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Listen and serve. Raises :class:`SettingsError` when the port or the certificate cannot be used."""
        self._service = service
        self._settings = settings
        self._streams = Streams(clock)
        streams = settings.max_sessions + SPARE_STREAMS
        self._server = grpc.server(
            ThreadPoolExecutor(streams, "direct"),
            options=_options(settings.max_message_bytes),
            maximum_concurrent_rpcs=streams,
        )
        upscale = grpc.stream_stream_rpc_method_handler(
            self._upscale, request_deserializer=None, response_serializer=pb.StreamResponse.SerializeToString
        )
        handlers = grpc.method_handlers_generic_handler(direct.SERVICE, {direct.UPSCALE: upscale})
        self._server.add_generic_rpc_handlers((handlers,))
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        try:
            self.port = _listen(self._server, settings)
        except SettingsError:
            self._server.stop(None).wait()
            raise
        self.show_health(serving=True)
        self._server.start()

    def show_health(self, *, serving: bool) -> None:
        """Answer grpc.health.v1 with SERVING or NOT_SERVING."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", direct.SERVICE):
            self._health.set(name, status)

    def end_silent(self) -> None:
        """End the streams that are silent for as long as a session may be; call it every second or so."""
        self._streams.end_silent(self._settings.idle_timeout_s)

    def stop(self, grace_s: float) -> None:
        """Take no more streams; end those that run within so many seconds."""
        self._server.stop(grace_s).wait()

    def _upscale(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[pb.StreamResponse]:
        token = _token(context)
        try:
            self._service.authenticate(token)
        except Unauthenticated as error:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        with self._service.counting_stream(), self._streams.running(context.cancel) as stream:
            context.add_callback(lambda: self._left(stream))  # as soon as it ended: a chunk may still run
            try:
                parts = overlapped(self._parts(requests, token, stream), AHEAD)
                for response in overlapped(_expanded(parts), 1):
                    yield response
                    stream.taken(response)
            finally:
                self._left(stream)  # what it had asked before it ended has run by now

    def _parts(self, requests: Iterator[bytes], token: str, stream: Stream) -> Parts:
        """Do the work of all requests of a stream, in order; runs in the engine's thread."""
        for index, incoming in enumerate(overlapped(map(Incoming.read_ahead, _until_gone(requests)), 1)):
            stream.asked()
            request_id = f"{stream.name}.{index}"
            yield from self._service.parts(incoming, token=token, request_id=request_id, carrier=stream.name)

    def _left(self, stream: Stream) -> None:
        """Keep the sessions of a stream that ended for a client that comes back soon."""
        self._service.store.abandon(stream.name, self._settings.reconnect_s)


def _until_gone(requests: Iterator[bytes]) -> Iterator[bytes]:
    """Give a stream's requests; end as if it had ended when its client is gone."""
    try:
        yield from requests
    except Exception as error:  # noqa: BLE001 - grpc raises a bare Exception for a stream that was cancelled
        logger.info("A stream ended early: %s", error or type(error).__name__)


def _expanded(parts: Parts) -> Iterator[pb.StreamResponse]:
    """Encode the messages of an answer."""
    for part in parts:
        yield from part()


def _token(context: grpc.ServicerContext) -> str:
    for key, value in context.invocation_metadata():
        if key == direct.TOKEN and isinstance(value, str):
            return value.removeprefix(direct.BEARER)
    return ""


def _options(max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", max_message_bytes + ENVELOPE_BYTES),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ]


def _listen(server: grpc.Server, settings: Settings) -> int:
    address = f"{settings.direct_host}:{settings.direct_port}"
    try:
        if not settings.tls_cert:
            return server.add_insecure_port(address)
        pair = (Path(settings.tls_key).read_bytes(), Path(settings.tls_cert).read_bytes())
        return server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    except (OSError, RuntimeError) as error:
        raise SettingsError(
            f"The direct plane cannot listen on {address}: {error}; choose another direct_port."
        ) from error
