"""A request as it is read: parsed at once, its frames turned into RGB before its turn comes or when they are wanted."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler.protocols import Pictures

LONGEST_ID: Final = 64
"""Characters of a session id. Ours have 24; every answer repeats the request's, and must not grow with it."""


@dataclass(slots=True)
class Incoming:
    """A request, its frames if it has any, and what is wrong with them; memory is bounded by the message's size."""

    request: pb.StreamRequest = field(default_factory=pb.StreamRequest)
    seconds: float = 0.0
    """That the frames took."""
    _frames: Pictures | None = None
    _error: wire.WireError | None = None

    @classmethod
    def read(cls, data: bytes) -> Incoming:
        """Read serialised bytes; whatever they are, nothing is raised before the request is answered."""
        incoming = cls()
        try:
            request = wire.parse(pb.StreamRequest, data)
            if len(request.session_id) > LONGEST_ID:
                raise wire.WireError(f"session_id of {len(request.session_id)} characters: send the one of `opened`")
            incoming.request = request
        except wire.WireError as error:
            incoming._error = error
        return incoming

    @classmethod
    def read_ahead(cls, data: bytes) -> Incoming:
        """Read serialised bytes and decode their frames too, in a thread that has the time."""
        incoming = cls.read(data)
        try:
            incoming._decode()
        except wire.WireError as error:
            incoming._error = error
        return incoming

    def require_request(self) -> pb.StreamRequest:
        """Give the request. Raises WireError for bytes that were none."""
        if self._error is not None and self.request.WhichOneof("body") is None:
            raise self._error
        return self.request

    def frames(self) -> Pictures:
        """Give the frames, RGB [T, h, w, 3], uint16 of RGB48LE and else uint8. Raises WireError for what are none."""
        if self._error is not None:
            raise self._error
        self._decode()
        assert self._frames is not None
        return self._frames

    def _decode(self) -> None:
        body = self.request.WhichOneof("body")
        if body not in ("frames", "clip") or self._frames is not None:
            return
        started = time.perf_counter()
        self._frames = wire.decode(self.request.frames if body == "frames" else self.request.clip.frames)
        self.seconds = time.perf_counter() - started
