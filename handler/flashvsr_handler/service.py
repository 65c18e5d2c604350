"""Request message in, response messages out, whatever carries them; the one place where exceptions become errors."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from flashvsr_engine.errors import ConfigError
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler import logs
from flashvsr_handler.admission import ENVELOPE_BYTES
from flashvsr_handler.auth import Tokens
from flashvsr_handler.budget import Budget
from flashvsr_handler.chunks import ChunkRunner, SourceOf, engine_itself
from flashvsr_handler.dispatch import Dispatch
from flashvsr_handler.drain import IDLE_S, Drain
from flashvsr_handler.errors import ServiceError
from flashvsr_handler.gauges import Gauges
from flashvsr_handler.incoming import Incoming
from flashvsr_handler.metrics import Metric, Recorder
from flashvsr_handler.parking import Parking
from flashvsr_handler.parts import Part, Parts, just
from flashvsr_handler.protocols import Engine
from flashvsr_handler.reception import Reception
from flashvsr_handler.sessions import Rules, SessionStore
from flashvsr_handler.settings import Settings
from flashvsr_handler.stored import End
from flashvsr_handler.tracing import Trace, nothing
from flashvsr_handler.turns import Turns

logger = logging.getLogger(__name__)
Responses = Iterator[pb.StreamResponse]


class Service:
    """FlashVSR sessions over one engine. Safe to use from several threads; the engine runs one chunk at a time."""

    def __init__(
        self,
        engine: Engine,
        device: str,
        budget_bytes: int,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        park_bytes: int = 0,
        trace: Trace = nothing,
        source_of: SourceOf = engine_itself,
    ) -> None:
        """``park_bytes``: host memory that silent sessions may be parked in; ``trace`` is told of each chunk;
        ``source_of``: from what a session's frames are taken.

        Raises :class:`flashvsr_handler.settings.SettingsError` when the file of tokens cannot be used.
        """
        self._tokens = Tokens(settings.auth_file)
        self.turns = Turns()
        rules = Rules(settings.max_sessions, settings.idle_timeout_s, settings.max_sessions_per_token)
        self.store = SessionStore(rules, Budget(budget_bytes), self.turns, clock)
        self.parking = Parking(self.store, engine, self.turns, settings.park_after_s, park_bytes)
        self.drain = Drain(clock)
        self.metrics = Recorder()
        self._gauges = Gauges(self.store, self.drain, self.metrics)
        self._reception = Reception(engine, device, self.store, settings, self.drain, self.metrics)
        target = min(settings.message_target_bytes, settings.max_message_bytes - ENVELOPE_BYTES)
        self._runner = ChunkRunner(self.store, self.parking, self.metrics, target, trace, source_of)
        self._dispatch = Dispatch(self._tokens, self.store, self.drain, self._reception, self._runner)

    @property
    def device_lost(self) -> bool:
        """Whether the engine's process has to be replaced: no call to its device can succeed any more."""
        return self._runner.device_lost

    def handle(self, data: bytes, *, many: bool) -> Responses:
        """Answer one serialised StreamRequest; an `error`, when there is one, comes last. Raises nothing.

        ``many``: the caller takes several messages; without it the answer is exactly one.
        """
        for part in self.parts(Incoming.read(data), many=many):
            yield from part()

    def parts(
        self, incoming: Incoming, *, many: bool = True, token: str = "", request_id: str = "", carrier: str = ""
    ) -> Parts:
        """Give the same answer in parts: this iterator does the engine's work, calling a part encodes its messages.

        ``token`` is the transport's word for who calls; the request's own comes first. ``carrier`` names the
        connection that the request came by, where its end tells that the client is gone.
        """
        request, ended = incoming.request, threading.Event()
        try:
            incoming.require_request()
            for part in self._dispatch.answer(incoming, many=many, token=token, carrier=carrier):
                yield self._addressed(part, request, request_id, ended)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever went wrong, the client gets an answer
            yield self._addressed(self._refused(error, request, request_id), request, request_id, ended)

    def housekeep(self) -> None:
        """Close and park what is silent, end what the drain's deadline cuts off; call it every second or so."""
        if self.drain.over:
            self.store.close_all(End.LOST)
        elif self.drain.left_ms:
            self.store.hasten(IDLE_S)
        self.store.expire()
        self.parking.park_silent()

    def authenticate(self, token: str) -> str:
        """Give the caller's name. Raises :class:`flashvsr_handler.errors.Unauthenticated`."""
        return self._tokens.caller(token)

    @property
    def direct_port(self) -> int:
        """Of the direct plane, which clients are told; 0 until it listens."""
        return self._reception.direct_port

    @direct_port.setter
    def direct_port(self, port: int) -> None:
        self._reception.direct_port = port

    @property
    def direct_streams(self) -> int:
        """Streams of the direct plane that run."""
        return self._gauges.streams

    def counting_stream(self) -> AbstractContextManager[None]:
        """Count a stream of the direct plane while the block runs."""
        return self._gauges.counting_stream()

    def levels(self) -> dict[Metric, float]:
        """Give the gauges, and count what ended since the last call."""
        return self._gauges.levels()

    def _addressed(self, part: Part, request: pb.StreamRequest, request_id: str, ended: threading.Event) -> Part:
        """Give the part with its request's names; nothing of it once the answer has ended by an error."""

        def messages() -> Responses:
            if ended.is_set():
                return
            try:
                for response in part():
                    if response.HasField("done"):
                        response.done.drain_ms = self.drain.left_ms
                    response.session_id = response.session_id or request.session_id
                    response.chunk_index = request.chunk_index
                    yield response
            except Exception as error:  # noqa: BLE001 - the boundary, for what is encoded in another thread
                ended.set()
                yield from self._refused(error, request, request_id)()

        return messages

    def _refused(self, error: Exception, request: pb.StreamRequest, request_id: str) -> Part:
        with logs.about(request.session_id, request_id):
            refusal = _as_error(error)
        code = pb.ErrorCode.Name(refusal.code).removeprefix("ERROR_CODE_").lower()
        self.metrics.record(Metric.REFUSED, 1, code)
        response = pb.StreamResponse(error=refusal, session_id=request.session_id, chunk_index=request.chunk_index)
        return just(response)


def _as_error(error: Exception) -> pb.Error:
    """Say on the wire what an exception means for the client."""
    if isinstance(error, ServiceError):
        if error.__cause__ is not None:
            logger.error("%s", error, exc_info=error.__cause__)
        again = error.retry_after_ms > 0
        return pb.Error(code=error.code, message=str(error), retryable=again, retry_after_ms=error.retry_after_ms)
    if isinstance(error, wire.WireError | ConfigError):
        return pb.Error(code=pb.ERROR_CODE_INVALID_REQUEST, message=str(error))
    logger.error("A request failed", exc_info=error)
    return pb.Error(code=pb.ERROR_CODE_INTERNAL, message=f"The server failed: {type(error).__name__}; see its log.")
