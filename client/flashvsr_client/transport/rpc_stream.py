"""A stream over gRPC: a call per chunk, held back by acknowledgements, retried where that is safe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from threading import Event, Lock
from typing import TYPE_CHECKING, Final

import numpy as np
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_client.channel import Channel
from flashvsr_client.chunks import Frames
from flashvsr_client.config import RetryPolicy, Timeout
from flashvsr_client.errors import ServerError, StreamClosedError
from flashvsr_client.transport.base import StreamInfo
from flashvsr_client.transport.direct import Direct, DirectCall
from flashvsr_client.transport.failures import AttemptError
from flashvsr_client.transport.rpc import Rpc

if TYPE_CHECKING:
    from flashvsr_client.transport.rpc import Call

_IN_FLIGHT: Final = 2  # one that runs and one that is queued
_CLOSE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request under way. Its bytes are kept: a chunk index that is sent again gets the same answer."""

    index: int
    message: bytes
    call: Call | DirectCall
    retries: int
    gated: bool
    """Whether the next one waits until this one is accepted."""


class RpcStream:
    """A :class:`Stream`. Chunk k + 1 is sent once the server has begun chunk k: calls may overtake one another.

    On the direct plane, where nothing is overtaken, it is sent at once.
    """

    def __init__(
        self,
        rpc: Rpc,
        model: str,
        session_id: str,
        info: StreamInfo,
        timeout: Timeout,
        retry: RetryPolicy,
        direct: Direct | None = None,
    ) -> None:
        """``direct``, when given, carries the chunks as long as it holds; control messages always go by ``rpc``."""
        self.info = info
        self._rpc = rpc
        self._direct = direct
        self._route = direct or rpc
        self._model = model
        self._session_id = session_id
        self._timeout = timeout
        self._retry = retry
        self._next_index = 0
        self._frames_sent = 0
        self._allowed = 0
        self._retries = 0  # chunks that took several attempts: a call sent before the last attempt came out of order
        self._last_ungated = -1
        self._unaccepted: Channel[None] = Channel(1)
        self._accepted = iter(self._unaccepted)
        self._sent: Channel[_Sent] = Channel(_IN_FLIGHT)
        self._closing = Event()
        self._closed = False
        self._lock = Lock()
        self._calls: list[Call | DirectCall] = []

    def submit(self, frames: Frames) -> None:
        """See :class:`Stream`."""
        assert 1 <= len(frames) <= self.info.max_chunk_frames
        pixel_format = pb.PIXEL_FORMAT_RGB24 if frames.dtype == np.uint8 else pb.PIXEL_FORMAT_RGB48LE
        self._send(pb.StreamRequest(frames=wire.encode(frames, pixel_format, first_frame=self._frames_sent)))
        self._frames_sent += len(frames)

    def flush(self) -> None:
        """See :class:`Stream`."""
        self._send(pb.StreamRequest(flush=pb.Flush()))
        self._sent.close()

    def receive(self) -> Iterator[Frames]:
        """See :class:`Stream`."""
        for sent in self._sent:
            yield from self._answer(sent)

    def close(self) -> None:
        """See :class:`Stream`. A server that cannot be told frees the session itself when it has been idle."""
        self._closing.set()
        self._unaccepted.abort()
        self._sent.abort()
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for call in self._calls:
                call.cancel()
            if self._direct is not None:
                self._direct.close()
            goodbye = self._addressed(pb.StreamRequest(close=pb.Close()))
            with suppress(AttemptError, StreamClosedError):
                self._rpc.ask(self._model, goodbye, _CLOSE_SECONDS)

    def _addressed(self, request: pb.StreamRequest) -> pb.StreamRequest:
        request.protocol_version = wire.PROTOCOL_VERSION
        request.session_id = self._session_id
        request.token = self._rpc.token
        return request

    def _send(self, request: pb.StreamRequest) -> None:
        request.chunk_index = self._next_index
        message = self._addressed(request).SerializeToString()
        gated = self._direct is None or self._direct.broken  # a direct stream keeps the order by itself
        if gated:
            self._unaccepted.put(None)
        else:
            self._last_ungated = self._next_index
        retries = self._retries  # read before the call starts: a call that is too old is sent again, never too few
        self._sent.put(_Sent(self._next_index, message, self._start(message), retries, gated))
        self._next_index += 1

    def _start(self, message: bytes) -> Call | DirectCall:
        with self._lock:
            if self._closed:
                raise StreamClosedError("the stream was closed: open another one")
            call = self._route.start(self._model, message)
            self._calls = [call, *(other for other in self._calls if other.is_active())]
            return call

    def _answer(self, sent: _Sent) -> Iterator[Frames]:
        """Give the frames of one chunk's answer, each once, over as many attempts as that takes."""
        # Once the direct plane broke, those that were in it are sent again; the first one after them came too early.
        broke = self._direct is not None and self._direct.broken and sent.index <= self._last_ungated + 1
        call = self._start(sent.message) if broke or sent.retries != self._retries else sent.call
        given = 0
        for attempt in count(1):
            position = 0
            try:
                for frames in self._frames(sent, call):
                    fresh = frames[max(0, given - position) :]
                    position += len(frames)
                    if len(fresh):
                        given = position
                        yield fresh
                self._retries += attempt > 1
                return
            except AttemptError as failure:
                self._before_retry(failure, attempt)
                call = self._start(sent.message)

    def _before_retry(self, failure: AttemptError, attempt: int) -> None:
        """Wait until the request may be sent again. Raises what the failure means where it may not."""
        if not self._closing.is_set():
            if failure.retry_after is None or attempt >= self._retry.attempts:
                raise failure.error from failure
            self._closing.wait(max(failure.retry_after, self._retry.delay(attempt)))
        if self._closing.is_set():
            raise StreamClosedError("the stream was closed before its end") from failure

    def _frames(self, sent: _Sent, call: Call | DirectCall) -> Iterator[Frames]:
        """Read one attempt's answer: accepted, frames, done."""
        done = False
        answers = self._route.answers(call, self._timeout.message)  # type: ignore[arg-type]  # its own calls
        for response in answers:  # to its very end: a call left early is cancelled
            match response.WhichOneof("body"):
                case "accepted":
                    self._allow_next(sent)
                case "frames":
                    yield self._pictures(response.frames)
                case "done":
                    self._allow_next(sent)
                    done = True
                case other:
                    raise AttemptError(ServerError(f"the server answered a chunk with {other}: versions differ?"))
        if not done:
            raise AttemptError(ServerError("the server ended a chunk's answer without `done`: see its log"), 0.0)

    def _pictures(self, message: pb.Frames) -> Frames:
        try:
            frames = wire.decode(message)
        except wire.WireError as error:
            raise AttemptError(ServerError(f"the server sent frames that cannot be read: {error}")) from error
        if frames.shape[1:3] != (self.info.height, self.info.width):
            size = f"{message.width}x{message.height}"
            raise AttemptError(ServerError(f"the server sent frames of {size} in a stream of {self.info}"))
        return frames

    def _allow_next(self, sent: _Sent) -> None:
        """Let the sender go on, once for each chunk, however often its answer is repeated."""
        if sent.index == self._allowed:
            self._allowed += 1
            if sent.gated:
                next(self._accepted)
