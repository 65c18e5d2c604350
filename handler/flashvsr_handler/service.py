"""Request message in, response messages out, whatever carries them; the one place where exceptions become errors."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from flashvsr_engine.errors import ConfigError, OutOfMemoryError
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler import logs
from flashvsr_handler.admission import ENVELOPE_BYTES, Admission, examine
from flashvsr_handler.auth import Tokens
from flashvsr_handler.budget import Budget
from flashvsr_handler.chunks import ChunkRunner, Part, Parts
from flashvsr_handler.drain import IDLE_S, Drain
from flashvsr_handler.errors import Busy, Draining, InvalidRequest, ServiceError, TooLarge, UnsupportedVersion
from flashvsr_handler.incoming import Incoming
from flashvsr_handler.metrics import Metric, Recorder
from flashvsr_handler.parking import Parking
from flashvsr_handler.protocols import Engine, EngineSession
from flashvsr_handler.sessions import Rules, SessionStore
from flashvsr_handler.settings import Settings
from flashvsr_handler.stored import End, StoredSession
from flashvsr_handler.tracing import Trace, nothing
from flashvsr_handler.turns import Turns

logger = logging.getLogger(__name__)
Responses = Iterator[pb.StreamResponse]
MANY_ANSWERS: Final = ("frames", "flush", "clip")
REJECTIONS: Final = {Busy: "busy", TooLarge: "too_large", Draining: "draining"}


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
    ) -> None:
        """``park_bytes``: host memory that silent sessions may be parked in; ``trace`` is told of each chunk.

        Raises :class:`flashvsr_handler.settings.SettingsError` when the file of tokens cannot be used.
        """
        self._engine = engine
        self._device = device
        self._settings = settings
        self._tokens = Tokens(settings.auth_file)
        self.turns = Turns()
        rules = Rules(settings.max_sessions, settings.idle_timeout_s, settings.max_sessions_per_token)
        self.store = SessionStore(rules, Budget(budget_bytes), self.turns, clock)
        self.parking = Parking(self.store, engine, self.turns, settings.park_after_s, park_bytes)
        self.drain = Drain(clock)
        self.metrics = Recorder()
        self._counted = dict.fromkeys(End, 0)
        self._streams_lock = threading.Lock()
        self.direct_streams = 0
        self.direct_port = 0
        """Of the direct plane, once it listens."""
        target = min(settings.message_target_bytes, settings.max_message_bytes - ENVELOPE_BYTES)
        self._runner = ChunkRunner(self.store, self.parking, self.metrics, target, trace)

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

    def parts(self, incoming: Incoming, *, many: bool = True, token: str = "", request_id: str = "") -> Parts:
        """Give the same answer in parts: this iterator does the engine's work, calling a part encodes its messages.

        ``token`` is the transport's word for who calls; the request's own comes first.
        """
        request = incoming.request
        try:
            incoming.require_request()
            for part in self._answer(incoming, many, token):
                yield self._addressed(part, request, request_id)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever went wrong, the client gets an answer
            yield self._refused(error, request, request_id)

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

    @contextmanager
    def counting_stream(self) -> Iterator[None]:
        """Count a stream of the direct plane while the block runs."""
        with self._streams_lock:
            self.direct_streams += 1
        try:
            yield
        finally:
            with self._streams_lock:
                self.direct_streams -= 1

    def levels(self) -> dict[Metric, float]:
        """Give the gauges, and count what ended since the last call."""
        counters = self.store.counters
        for end in End:
            now = getattr(counters, end.value)
            self.metrics.record(Metric.SESSIONS_CLOSED, now - self._counted[end], end.value)
            self._counted[end] = now
        return {
            Metric.SESSIONS_ACTIVE: counters.active,
            Metric.SESSIONS_PARKED: counters.parked,
            Metric.STATE_BYTES: self.store.state_bytes,
            Metric.STATE_BYTES_BUDGET: self.store.budget.total,
            Metric.PARKED_BYTES: self.store.snapshots_bytes(),
            Metric.DIRECT_STREAMS: self.direct_streams,
            Metric.DRAINING: float(self.drain.left_ms > 0),
        }

    def _answer(self, incoming: Incoming, many: bool, token: str) -> Parts:
        request = incoming.request
        caller = self._tokens.caller(request.token or token)
        body = request.WhichOneof("body")
        if body in MANY_ANSWERS and not many:
            raise InvalidRequest(f"{body} has several answers: send it as input 'stream' over StreamPredictions.")
        if body != "open":
            _require_version(request.protocol_version)
        match body:
            case "open":
                yield _just(self._open(request, caller))
            case "frames":
                self._require_time(request.session_id)
                yield from self._runner.frames(incoming, caller)
            case "flush":
                self._require_time(request.session_id)
                yield from self._runner.flush(request.session_id, caller, request.chunk_index)
            case "clip":
                yield from self._clip(incoming, caller)
            case "close":
                yield _just(self._close(request.session_id, caller))
            case "ping":
                yield _just(self._pong())
            case _:
                raise InvalidRequest("The request has no body: send open, frames, flush, close, ping or clip.")

    def _admit(self, opening: pb.Open, caller: str) -> StoredSession:
        try:
            self.drain.require_open()
            admission = examine(self._engine, opening, self._settings)
            session = self.store.admit(admission, lambda: self._opened(admission), caller)
        except OutOfMemoryError as error:  # something else took the device's memory: the others go on
            self.metrics.record(Metric.SESSIONS_REJECTED, 1, REJECTIONS[Busy])
            raise Busy("The device has no memory left for a session now: try again, or another server.") from error
        except (Busy, TooLarge, Draining) as error:
            self.metrics.record(Metric.SESSIONS_REJECTED, 1, REJECTIONS[type(error)])
            raise
        self.metrics.record(Metric.SESSIONS_OPENED, 1)
        return session

    def _opened(self, admission: Admission) -> EngineSession:
        opening = admission.opening
        return self._engine.open(
            opening.width,
            opening.height,
            opening.scale or None,
            opening.seed if opening.HasField("seed") else None,
            output=admission.sample,
            first_frame=opening.first_frame,
        )

    def _open(self, request: pb.StreamRequest, caller: str) -> pb.StreamResponse:
        opening = request.open
        version = _negotiated(request.protocol_version, opening.oldest_protocol_version or request.protocol_version)
        session = self._admit(opening, caller)
        plan = session.admission.plan
        opened = pb.Opened(
            output_width=plan.out_width,
            output_height=plan.out_height,
            first_chunk=plan.first_chunk,
            chunk=plan.chunk,
            look_ahead=plan.look_ahead,
            max_chunk_frames=session.admission.max_chunk_frames,
            state_bytes=plan.state_bytes,
            idle_timeout_ms=round(self._settings.idle_timeout_s * 1000),
            model=self._engine.name,
            first_frame=opening.first_frame,
            protocol_version=version,
            direct_port=self.direct_port,
        )
        return pb.StreamResponse(session_id=session.id, opened=opened)

    def _clip(self, incoming: Incoming, caller: str) -> Parts:
        session = self._admit(incoming.request.clip.open, caller)
        try:
            yield from self._runner.clip(session.id, caller, incoming)
        finally:
            self.store.close(session.id)

    def _close(self, session_id: str, caller: str) -> pb.StreamResponse:
        with self.store.use(session_id, caller) as session:
            closed = pb.Closed(frames_in=session.engine.frames_in, frames_out=session.engine.frames_out)
            self.store.close(session_id)
        return pb.StreamResponse(closed=closed)

    def _pong(self) -> pb.StreamResponse:
        counters = self.store.counters
        pong = pb.Pong(
            protocol_version=wire.PROTOCOL_VERSION,
            oldest_protocol_version=wire.OLDEST_PROTOCOL_VERSION,
            model=self._engine.name,
            device=self._device,
            sessions=counters.active,
            max_sessions=self._settings.max_sessions,
            state_bytes=self.store.state_bytes,
            state_bytes_budget=self.store.budget.total,
            models=self._settings.models,
            warm=self._settings.warm_up or self._runner.warm,
            direct_port=self.direct_port,
            draining=self.drain.left_ms > 0,
            parked=counters.parked,
        )
        return pb.StreamResponse(pong=pong)

    def _require_time(self, session_id: str) -> None:
        try:
            self.drain.require_time()
        except Draining:
            self.store.close(session_id, End.LOST)
            raise

    def _addressed(self, part: Part, request: pb.StreamRequest, request_id: str) -> Part:
        def messages() -> Responses:
            try:
                for response in part():
                    if response.HasField("done"):
                        response.done.drain_ms = self.drain.left_ms
                    response.session_id = response.session_id or request.session_id
                    response.chunk_index = request.chunk_index
                    yield response
            except Exception as error:  # noqa: BLE001 - the boundary, for what is encoded in another thread
                yield from self._refused(error, request, request_id)()

        return messages

    def _refused(self, error: Exception, request: pb.StreamRequest, request_id: str) -> Part:
        with logs.about(request.session_id, request_id):
            refusal = _as_error(error)
        code = pb.ErrorCode.Name(refusal.code).removeprefix("ERROR_CODE_").lower()
        self.metrics.record(Metric.REFUSED, 1, code)
        response = pb.StreamResponse(error=refusal, session_id=request.session_id, chunk_index=request.chunk_index)
        return _just(response)


def _just(response: pb.StreamResponse) -> Part:
    return lambda: iter((response,))


def _negotiated(newest: int, oldest: int) -> int:
    """The newest version that both sides speak, of a client that speaks all from ``oldest`` to ``newest``."""
    chosen = min(newest, wire.PROTOCOL_VERSION)
    if chosen < max(oldest, wire.OLDEST_PROTOCOL_VERSION):
        raise _unsupported(newest)
    return chosen


def _require_version(version: int) -> None:
    if not wire.OLDEST_PROTOCOL_VERSION <= version <= wire.PROTOCOL_VERSION:
        raise _unsupported(version)


def _unsupported(version: int) -> UnsupportedVersion:
    ours = f"{wire.OLDEST_PROTOCOL_VERSION} to {wire.PROTOCOL_VERSION}"
    return UnsupportedVersion(f"Protocol version {version}: this server speaks {ours}.")


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
