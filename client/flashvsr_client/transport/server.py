"""The transport to a server over gRPC."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import inf
from random import random
from threading import Lock
from typing import Final

import grpc
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_client.config import DEFAULT_SERVER, Access, RetryPolicy, Timeout
from flashvsr_client.errors import ClientError, ServerBusyError, ServerError, UsageError
from flashvsr_client.transport.base import Health, StreamInfo, StreamSpec
from flashvsr_client.transport.direct import Direct, reachable
from flashvsr_client.transport.failures import AttemptError, ThrottledError
from flashvsr_client.transport.rpc import Rpc
from flashvsr_client.transport.rpc_stream import RpcStream

FIRST_MODEL: Final = "flashvsr0"
"""The TorchServe model that every server has; its pong names the others, one for each device."""

_NAMES: Final = 16
"""So many times an open may look for a node that has room. A proxy's hash gives one of two nodes up to two thirds of
all names: when that one is full or stops, one open in seven hundred finds no other."""

_ASK_AGAIN_S: Final = 60.0
"""After a direct plane could not be reached."""


class GrpcTransport:
    """A :class:`Transport` to ``server``, HOST:PORT. A stream goes to the least loaded of the server's engines."""

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        timeout: Timeout | None = None,
        retry: RetryPolicy | None = None,
        access: Access | None = None,
    ) -> None:
        """Connect at the first call. Raises :class:`UsageError` for an address that is none."""
        self._access = access or Access()
        self._rpc = Rpc(_checked_address(server), self._access)
        self._channels: dict[int, grpc.Channel] = {}
        self._unreachable: dict[int, float] = {}
        self._channels_lock = Lock()
        self._timeout = timeout or Timeout()
        self._retry = retry or RetryPolicy()

    def ping(self) -> Sequence[Health]:
        """See :class:`Transport`; an engine that does not answer while others do is left out."""
        return self._ping(self._rpc)

    def open(self, spec: StreamSpec) -> RpcStream:
        """See :class:`Transport`. Behind a proxy another name may find another node, where one is busy or stops."""
        busy: ServerBusyError | None = None
        for _ in range(_NAMES):
            rpc = self._rpc.renamed()
            for health in sorted(self._ping(rpc), key=_load):
                try:
                    return self._open_on(rpc, health, spec)
                except ServerBusyError as error:
                    busy = error
        assert busy is not None, "ping gives one engine at least"
        raise busy

    def close(self) -> None:
        """See :class:`Transport`."""
        with self._channels_lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()
        self._rpc.close()

    def _ping(self, rpc: Rpc) -> list[Health]:
        first = self._pong(rpc, FIRST_MODEL)
        healths = [_health(FIRST_MODEL, first)]
        for model in first.models:
            if model != FIRST_MODEL:
                try:
                    healths.append(_health(model, self._pong(rpc, model)))
                except ClientError:  # its worker restarts; the first engine has answered
                    continue
        return healths

    def _open_on(self, rpc: Rpc, health: Health, spec: StreamSpec) -> RpcStream:
        response = self._ask(rpc, health.name, pb.StreamRequest(open=_open_message(spec)), self._timeout.control)
        if response.WhichOneof("body") != "opened":
            raise ServerError(f"the server answered open with {response.WhichOneof('body')}: versions differ?")
        opened = response.opened
        info = StreamInfo(
            width=opened.output_width,
            height=opened.output_height,
            first_chunk=opened.first_chunk,
            chunk=opened.chunk,
            max_chunk_frames=opened.max_chunk_frames,
            model=opened.model,
        )
        if opened.first_frame != spec.first_frame:
            raise ServerError(
                f"the server at {self._rpc.server} cannot begin in mid-film: update it, or give --segment-frames 0"
            )
        if not _sound(info, spec):
            raise ServerError(f"the server answered open of {spec} with {info}: versions differ?")
        route = self._direct(rpc, opened.direct_port)
        return RpcStream(rpc, health.name, response.session_id, info, self._timeout, self._retry, route)

    def _direct(self, rpc: Rpc, port: int) -> Direct | None:
        """Give the direct plane at that port of the server's host; None when there is none, or it cannot be reached."""
        if not self._access.direct or not 0 < port < 65536:
            return None
        with self._channels_lock:
            if port not in self._channels and self._may_ask(port):
                host = self._rpc.server.rpartition(":")[0]
                channel = self._rpc.channel_to(f"{host}:{port}")
                if reachable(channel):
                    self._channels[port] = channel
                else:  # a proxy, a firewall; or a machine that was too busy just then
                    channel.close()
                    self._unreachable[port] = time.monotonic()
            found = self._channels.get(port)
        return None if found is None else Direct(rpc, found)

    def _may_ask(self, port: int) -> bool:
        return time.monotonic() - self._unreachable.get(port, -inf) > _ASK_AGAIN_S

    def _pong(self, rpc: Rpc, model: str) -> pb.Pong:
        response = self._ask(rpc, model, pb.StreamRequest(ping=pb.Ping()), self._timeout.connect)
        if response.WhichOneof("body") != "pong":
            raise ServerError(f"the server answered ping with {response.WhichOneof('body')}: versions differ?")
        return response.pong

    def _ask(self, rpc: Rpc, model: str, request: pb.StreamRequest, seconds: float) -> pb.StreamResponse:
        request.protocol_version = wire.PROTOCOL_VERSION
        attempt = 1
        while True:
            try:
                return rpc.ask(model, request, seconds)
            except AttemptError as failure:
                if not isinstance(failure, ThrottledError) or attempt >= self._retry.attempts:
                    raise failure.error from failure
                time.sleep(max(failure.retry_after or 0.0, self._retry.delay(attempt)))
            attempt += 1


def _open_message(spec: StreamSpec) -> pb.Open:
    return pb.Open(
        width=spec.width,
        height=spec.height,
        scale=spec.scale,
        fps=spec.fps,
        output_format=pb.PIXEL_FORMAT_RGB48LE if spec.depth == 16 else pb.PIXEL_FORMAT_RGB24,
        seed=spec.seed,
        oldest_protocol_version=wire.OLDEST_PROTOCOL_VERSION,
        first_frame=spec.first_frame,
    )


def _sound(info: StreamInfo, spec: StreamSpec) -> bool:
    size = (info.width, info.height) == (spec.width * spec.scale, spec.height * spec.scale)
    return size and min(info.first_chunk, info.chunk, info.max_chunk_frames) > 0


def _load(health: Health) -> tuple[int, int, float]:
    """What an engine has to do; in any order where that is equal, for all who open at one time see the same."""
    return health.sessions, health.state_bytes, random()


def _health(name: str, pong: pb.Pong) -> Health:
    return Health(
        name=name,
        model=pong.model,
        device=pong.device,
        sessions=pong.sessions,
        max_sessions=pong.max_sessions,
        state_bytes=pong.state_bytes,
        state_bytes_budget=pong.state_bytes_budget,
    )


def _checked_address(server: str) -> str:
    host, _, port = server.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"server {server!r}: give HOST:PORT with a port from 1 to 65535, such as {DEFAULT_SERVER}")
    return server
