"""Where sessions come in: admitted, opened in the engine, counted, and told what they got."""

from __future__ import annotations

import threading
from typing import Final

from flashvsr_engine.errors import OutOfMemoryError
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler.admission import Admission, examine
from flashvsr_handler.drain import Drain
from flashvsr_handler.errors import Busy, Draining, TooLarge
from flashvsr_handler.metrics import Metric, Recorder
from flashvsr_handler.protocols import Engine, EngineSession
from flashvsr_handler.sessions import SessionStore
from flashvsr_handler.settings import Settings
from flashvsr_handler.stored import StoredSession
from flashvsr_handler.versions import negotiated

REJECTIONS: Final = {Busy: "busy", TooLarge: "too_large", Draining: "draining"}


class Reception:
    """Opens sessions of one engine in one store."""

    def __init__(
        self,
        engine: Engine,
        device: str,
        store: SessionStore,
        settings: Settings,
        drain: Drain,
        metrics: Recorder,
    ) -> None:
        self._engine = engine
        self._device = device
        self._store = store
        self._settings = settings
        self._drain = drain
        self._metrics = metrics
        self._planning = threading.Lock()
        self.direct_port = 0
        """Of the direct plane, once it listens."""

    def admit(self, opening: pb.Open, caller: str) -> StoredSession:
        """Open a session, or count why not.

        Raises :class:`Busy`, :class:`TooLarge`, :class:`Draining`, and what :func:`examine` raises.
        """
        try:
            self._drain.require_open()
            with self._planning:
                admission = examine(self._engine, opening, self._settings)
            session = self._store.admit(admission, lambda: self._opened(admission), caller)
        except OutOfMemoryError as error:  # something else took the device's memory: the others go on
            self._metrics.record(Metric.SESSIONS_REJECTED, 1, REJECTIONS[Busy])
            raise Busy("The device has no memory left for a session now: try again, or another server.") from error
        except (Busy, TooLarge, Draining) as error:
            self._metrics.record(Metric.SESSIONS_REJECTED, 1, REJECTIONS[type(error)])
            raise
        self._metrics.record(Metric.SESSIONS_OPENED, 1)
        return session

    def open(self, request: pb.StreamRequest, caller: str) -> pb.StreamResponse:
        """Answer an `open`. Raises :class:`UnsupportedVersion` and what :meth:`admit` raises."""
        opening = request.open
        version = negotiated(request.protocol_version, opening.oldest_protocol_version or request.protocol_version)
        session = self.admit(opening, caller)
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

    def pong(self, *, warm: bool) -> pb.StreamResponse:
        """Answer a `ping`; ``warm``: whether the engine has run."""
        counters = self._store.counters
        pong = pb.Pong(
            protocol_version=wire.PROTOCOL_VERSION,
            oldest_protocol_version=wire.OLDEST_PROTOCOL_VERSION,
            model=self._engine.name,
            device=self._device,
            sessions=counters.active,
            max_sessions=self._settings.max_sessions,
            state_bytes=self._store.state_bytes,
            state_bytes_budget=self._store.budget.total,
            models=self._settings.models,
            warm=self._settings.warm_up or warm,
            direct_port=self.direct_port,
            draining=self._drain.left_ms > 0,
            parked=counters.parked,
        )
        return pb.StreamResponse(pong=pong)

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
