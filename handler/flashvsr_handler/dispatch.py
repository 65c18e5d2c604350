"""Which part of the service answers which request."""

from __future__ import annotations

from typing import Final

from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler.auth import Tokens
from flashvsr_handler.chunks import ChunkRunner
from flashvsr_handler.drain import Drain
from flashvsr_handler.errors import Draining, InvalidRequest
from flashvsr_handler.incoming import Incoming
from flashvsr_handler.parts import Parts, just
from flashvsr_handler.reception import Reception
from flashvsr_handler.sessions import SessionStore
from flashvsr_handler.stored import End
from flashvsr_handler.versions import require_version

MANY_ANSWERS: Final = ("frames", "flush", "clip")


class Dispatch:
    """Answers a request by its body; what is refused is raised."""

    def __init__(
        self, tokens: Tokens, store: SessionStore, drain: Drain, reception: Reception, runner: ChunkRunner
    ) -> None:
        self._tokens = tokens
        self._store = store
        self._drain = drain
        self._reception = reception
        self._runner = runner

    def answer(self, incoming: Incoming, *, many: bool, token: str, carrier: str) -> Parts:
        """Give the answer; the rest is as in :meth:`flashvsr_handler.service.Service.parts`."""
        request = incoming.request
        caller = self._tokens.caller(request.token or token)
        body = request.WhichOneof("body")
        if body in MANY_ANSWERS and not many:
            raise InvalidRequest(f"{body} has several answers: send it as input 'stream' over StreamPredictions.")
        if body != "open":
            require_version(request.protocol_version)
        self._store.carried(request.session_id, caller, carrier)
        match body:
            case "open":
                yield just(self._reception.open(request, caller))
            case "frames":
                self._require_time(request.session_id)
                yield from self._runner.frames(incoming, caller)
            case "flush":
                self._require_time(request.session_id)
                yield from self._runner.flush(request.session_id, caller, request.chunk_index)
            case "clip":
                yield from self._clip(incoming, caller)
            case "close":
                yield just(self._close(request.session_id, caller))
            case "ping":
                yield just(self._reception.pong(warm=self._runner.warm))
            case _:
                raise InvalidRequest("The request has no body: send open, frames, flush, close, ping or clip.")

    def _clip(self, incoming: Incoming, caller: str) -> Parts:
        session = self._reception.admit(incoming.request.clip.open, caller)
        try:
            yield from self._runner.clip(session.id, caller, incoming)
        finally:
            self._store.close(session.id)

    def _close(self, session_id: str, caller: str) -> pb.StreamResponse:
        with self._store.use(session_id, caller) as session:
            closed = pb.Closed(frames_in=session.engine.frames_in, frames_out=session.engine.frames_out)
            self._store.close(session_id)
        return pb.StreamResponse(closed=closed)

    def _require_time(self, session_id: str) -> None:
        try:
            self._drain.require_time()
        except Draining:
            self._store.close(session_id, End.LOST)
            raise
