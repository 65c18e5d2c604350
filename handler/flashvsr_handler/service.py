"""Request message in, response messages out, whatever carries them; the one place where exceptions become errors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Final

from flashvsr_engine.errors import ConfigError
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler.admission import ENVELOPE_BYTES, examine
from flashvsr_handler.chunks import ChunkRunner
from flashvsr_handler.errors import InvalidRequest, ServiceError, UnsupportedVersion
from flashvsr_handler.metrics import Metric, Recorder
from flashvsr_handler.protocols import Engine
from flashvsr_handler.sessions import SessionStore, StoredSession
from flashvsr_handler.settings import Settings

logger = logging.getLogger(__name__)
Responses = Iterator[pb.StreamResponse]
MANY_ANSWERS: Final = ("frames", "flush", "clip")


class Service:
    """FlashVSR sessions over one engine. One request at a time; :meth:`expire` may be called from another thread."""

    def __init__(
        self,
        engine: Engine,
        device: str,
        budget_bytes: int,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._device = device
        self._budget_bytes = budget_bytes
        self._settings = settings
        self.store = SessionStore(settings.max_sessions, budget_bytes, settings.idle_timeout_s, clock)
        self.metrics = Recorder()
        target = min(settings.message_target_bytes, settings.max_message_bytes - ENVELOPE_BYTES)
        self._runner = ChunkRunner(self.store, self.metrics, target)

    @property
    def device_lost(self) -> bool:
        """Whether the engine's process has to be replaced: no call to its device can succeed any more."""
        return self._runner.device_lost

    def handle(self, data: bytes, *, many: bool) -> Responses:
        """Answer one serialised StreamRequest; an `error`, when there is one, comes last. Raises nothing.

        ``many``: the caller takes several messages; without it the answer is exactly one.
        """
        request = pb.StreamRequest()
        try:
            request = wire.parse(pb.StreamRequest, data)
            for response in self._answer(request, many):
                yield self._addressed(response, request)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever went wrong, the client gets an answer
            refusal = _as_error(error)
            code = pb.ErrorCode.Name(refusal.code).removeprefix("ERROR_CODE_").lower()
            self.metrics.record(Metric.REFUSED, 1, code)
            yield self._addressed(pb.StreamResponse(error=refusal), request)
        self.metrics.record(Metric.SESSIONS_ACTIVE, self.store.counters.active)
        self.metrics.record(Metric.STATE_BYTES, self.store.state_bytes)

    def expire(self) -> int:
        """Close the sessions that were silent for too long; return how many."""
        return self.store.expire()

    def _answer(self, request: pb.StreamRequest, many: bool) -> Responses:
        if request.protocol_version != wire.PROTOCOL_VERSION:
            raise UnsupportedVersion(
                f"Protocol version {request.protocol_version}: this server speaks {wire.PROTOCOL_VERSION}."
            )
        body = request.WhichOneof("body")
        if body in MANY_ANSWERS and not many:
            raise InvalidRequest(f"{body} has several answers: send it as input 'stream' over StreamPredictions.")
        match body:
            case "open":
                yield self._open(request.open)
            case "frames":
                yield from self._runner.frames(request.session_id, request.chunk_index, request.frames)
            case "flush":
                yield from self._runner.flush(request.session_id, request.chunk_index)
            case "clip":
                yield from self._clip(request.clip)
            case "close":
                yield self._close(request.session_id)
            case "ping":
                yield self._pong()
            case _:
                raise InvalidRequest("The request has no body: send open, frames, flush, close, ping or clip.")

    def _admit(self, opening: pb.Open) -> StoredSession:
        admission = examine(self._engine, opening, self._settings)
        seed = opening.seed if opening.HasField("seed") else None
        session = self.store.admit(
            admission, lambda: self._engine.open(opening.width, opening.height, opening.scale or None, seed)
        )
        self.metrics.record(Metric.SESSIONS_OPENED, 1)
        return session

    def _open(self, opening: pb.Open) -> pb.StreamResponse:
        session = self._admit(opening)
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
        )
        return pb.StreamResponse(session_id=session.id, opened=opened)

    def _clip(self, clip: pb.Clip) -> Responses:
        session = self._admit(clip.open)
        try:
            yield from self._runner.clip(session.id, clip.frames)
        finally:
            self.store.close(session.id)

    def _close(self, session_id: str) -> pb.StreamResponse:
        with self.store.use(session_id) as session:
            closed = pb.Closed(frames_in=session.engine.frames_in, frames_out=session.engine.frames_out)
        self.store.close(session_id)
        return pb.StreamResponse(closed=closed)

    def _pong(self) -> pb.StreamResponse:
        pong = pb.Pong(
            protocol_version=wire.PROTOCOL_VERSION,
            model=self._engine.name,
            device=self._device,
            sessions=self.store.counters.active,
            max_sessions=self._settings.max_sessions,
            state_bytes=self.store.state_bytes,
            state_bytes_budget=self._budget_bytes,
            models=self._settings.models,
            warm=self._settings.warm_up or self._runner.warm,
        )
        return pb.StreamResponse(pong=pong)

    def _addressed(self, response: pb.StreamResponse, request: pb.StreamRequest) -> pb.StreamResponse:
        response.session_id = response.session_id or request.session_id
        response.chunk_index = request.chunk_index
        return response


def _as_error(error: Exception) -> pb.Error:
    """Say on the wire what an exception means for the client."""
    if isinstance(error, ServiceError):
        if error.__cause__ is not None:
            logger.error("%s", error, exc_info=error.__cause__)
        busy = error.retry_after_ms > 0
        return pb.Error(code=error.code, message=str(error), retryable=busy, retry_after_ms=error.retry_after_ms)
    if isinstance(error, wire.WireError | ConfigError):
        return pb.Error(code=pb.ERROR_CODE_INVALID_REQUEST, message=str(error))
    logger.error("A request failed", exc_info=error)
    return pb.Error(code=pb.ERROR_CODE_INTERNAL, message=f"The server failed: {type(error).__name__}; see its log.")
