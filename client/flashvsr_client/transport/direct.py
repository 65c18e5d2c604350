"""Frames past TorchServe: one stream of the worker's own port for a session, and TorchServe when that fails."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import grpc
from flashvsr_proto.v1 import direct
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_client.errors import SessionLostError
from flashvsr_client.transport.failures import AttemptError, of_error
from flashvsr_client.transport.rpc import Patience, Rpc

if TYPE_CHECKING:
    from flashvsr_client.transport.rpc import Call

CONNECT_SECONDS: Final = 2.0
"""A port that a firewall swallows is given up after this, for a while."""


@dataclass(slots=True)
class _Flow:
    """One stream: requests that go in, and the iterator of their answers, which come in the same order."""

    requests: queue.SimpleQueue[bytes | None]
    answers: grpc.CallIterator[pb.StreamResponse]

    def cancel(self) -> None:
        """End it at once, at both ends."""
        self.requests.put(None)
        self.answers.cancel()  # type: ignore[no-untyped-call]  # untyped in grpc's stubs


@dataclass(frozen=True, slots=True)
class DirectCall:
    """A request that went into a stream."""

    flow: _Flow
    index: int

    def cancel(self) -> None:
        """End the stream that it went into."""
        self.flow.cancel()

    def is_active(self) -> bool:
        """Whether it has to be kept to be cancelled: :meth:`Direct.close` does that for all of a stream."""
        return False


@dataclass(slots=True)
class Direct:
    """The route of one session's chunks: the stream while it holds, else the calls of ``rpc``, from then on.

    A chunk that was under way when the stream broke is sent again over TorchServe: its answer is the same.
    """

    rpc: Rpc
    channel: grpc.Channel
    broken: bool = False
    _flow: _Flow | None = field(default=None, init=False)

    def start(self, model: str, message: bytes) -> Call | DirectCall:
        """Send the serialised request of a chunk; its answer is read by :meth:`answers`."""
        if self.broken:
            return self.rpc.start(model, message)
        if self._flow is None:
            requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
            stub = direct.UpscalerStub(self.channel)
            answers = stub.upscale(iter(requests.get, None), metadata=direct.bearer(self.rpc.token))
            self._flow = _Flow(requests, answers)
        self._flow.requests.put(message)
        return DirectCall(self._flow, pb.StreamRequest.FromString(message).chunk_index)

    def answers(self, call: Call | DirectCall, seconds: float) -> Iterator[pb.StreamResponse]:
        """Give the messages of a chunk's answer; each may take ``seconds``."""
        if not isinstance(call, DirectCall):
            yield from self.rpc.answers(call, seconds)
            return
        try:
            yield from self._read(call, seconds)
        except AttemptError as failure:
            self._give_up(call.flow)
            raise AttemptError(failure.error, failure.retry_after or 0.0) from failure

    def close(self) -> None:
        """End the stream, if there is one."""
        if self._flow is not None:
            self._flow.cancel()

    def _read(self, call: DirectCall, seconds: float) -> Iterator[pb.StreamResponse]:
        patience = Patience(call.cancel, self.rpc.server)
        while True:
            with patience.within(seconds):
                response = next(iter(call.flow.answers), None)
            if response is None or response.chunk_index != call.index:
                raise AttemptError(SessionLostError(f"the direct stream to {self.rpc.server} ended in mid-answer"))
            if response.WhichOneof("body") == "error":
                raise of_error(response.error, self.rpc.server, in_session=True)
            yield response
            if response.WhichOneof("body") == "done":
                return

    def _give_up(self, flow: _Flow) -> None:
        self.broken = True
        flow.cancel()


def reachable(channel: grpc.Channel) -> bool:
    """Whether something answers there, in a short while."""
    try:
        grpc.channel_ready_future(channel).result(CONNECT_SECONDS)
    except grpc.FutureTimeoutError:
        return False
    return True
