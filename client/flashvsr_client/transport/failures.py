"""The one place where gRPC statuses and the server's typed errors become this package's exceptions."""

from __future__ import annotations

from typing import Final

import grpc
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_client.errors import ClientError, ServerBusyError, ServerError, ServerUnreachableError, SessionLostError

PUSHBACK: Final = "grpc-retry-pushback-ms"
MOST_PUSHBACK_MS: Final = 60_000
_RESTART: Final = "; its worker restarts by itself: run the job again"


class AttemptError(Exception):
    """One attempt at a request failed. ``error`` is what it means in the end; ``retry_after`` None: try no more."""

    def __init__(self, error: ClientError, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after = retry_after
        """Seconds to wait at least before the same request may be sent again."""


class ThrottledError(AttemptError):
    """A proxy asks to come again later; nothing of the request was done."""


def of_status(failure: grpc.RpcError, server: str, *, in_session: bool) -> AttemptError:
    """Read the status of a call that ended badly. ``in_session``: a session was open, so its loss is the news."""
    code = failure.code() if isinstance(failure, grpc.Call) else grpc.StatusCode.UNKNOWN
    details = (failure.details() if isinstance(failure, grpc.Call) else None) or str(failure)
    if "Worker died" in details:  # comes as INTERNAL or as RESOURCE_EXHAUSTED: read the text before the code
        lost = f"the worker of the server at {server} died or gave no answer in time{_RESTART}"
        return AttemptError(SessionLostError(lost) if in_session else ServerError(lost))
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and (pause := _pushback(failure)) is not None:
        return ThrottledError(_busy(server, details), pause)
    if "Model not found" in details:
        return AttemptError(ServerError(f"the server at {server} serves no FlashVSR model: is this a flashvsr-serve?"))
    if "no worker" in details:
        return AttemptError(ServerBusyError(f"the server at {server} has no free worker: try again in a while"), 1.0)
    if code is grpc.StatusCode.UNAVAILABLE:
        return _unavailable(details, server, in_session=in_session)
    if code is grpc.StatusCode.CANCELLED:  # not by us: a server that stops, or a request that is too large
        text = f"the server at {server} cancelled the request: it is being stopped, or allows smaller requests only"
        return AttemptError(ServerError(text), 0.0)
    return AttemptError(_final(code, details, server, in_session=in_session))


def of_error(error: pb.Error, server: str, *, in_session: bool) -> AttemptError:
    """Read the server's own typed error."""
    text = f"the server at {server} says: {error.message}"
    kinds: dict[int, type[ClientError]] = {
        pb.ERROR_CODE_BUSY: ServerBusyError,
        pb.ERROR_CODE_DRAINING: ServerBusyError,
        pb.ERROR_CODE_SESSION_LOST: SessionLostError,
    }
    if in_session:  # a session that the server does not know, or knows at another chunk, is gone for us
        codes = (pb.ERROR_CODE_NO_SESSION, pb.ERROR_CODE_OUT_OF_ORDER, pb.ERROR_CODE_DRAINING)
        kinds |= dict.fromkeys(codes, SessionLostError)
    meaning = kinds.get(error.code, ServerError)(text)
    again = error.retryable and error.code != pb.ERROR_CODE_DRAINING  # another server may take it, this one will not
    return AttemptError(meaning, error.retry_after_ms / 1000 if again else None)


def _unavailable(details: str, server: str, *, in_session: bool) -> AttemptError:
    if "Prediction failed" in details:  # the handler raised: the session lives
        return AttemptError(ServerError(f"the server at {server} failed at the request: see its log"), 0.0)
    if in_session:
        return AttemptError(
            SessionLostError(f"the server at {server} went away in mid-clip: start it again, then run the job again"),
            0.0,
        )
    return AttemptError(unreachable(server))


def unreachable(server: str) -> ServerUnreachableError:
    """Say that nothing answers at the address."""
    return ServerUnreachableError(
        f"no server answers at {server}: start one with `flashvsr-serve`, give its address with --server HOST:PORT, "
        "or use --local"
    )


def _busy(server: str, details: str) -> ServerBusyError:
    return ServerBusyError(f"the server at {server} is busy: {details}; try again in a while")


def _pushback(failure: grpc.RpcError) -> float | None:
    """Seconds after which to come again, where that is said as gRPC's own retries have it."""
    metadata = failure.trailing_metadata() if isinstance(failure, grpc.Call) else None
    told: dict[str, str | bytes] = dict(metadata or ())
    value = told.get(PUSHBACK)
    return min(int(value), MOST_PUSHBACK_MS) / 1000 if isinstance(value, str) and value.isdecimal() else None


def _final(code: grpc.StatusCode, details: str, server: str, *, in_session: bool) -> ClientError:
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        text = f"the server at {server} gave no answer in time: it is overloaded or hangs; see its log"
        return SessionLostError(text) if in_session else ServerUnreachableError(text)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _busy(server, details)
    remedy = {
        grpc.StatusCode.UNIMPLEMENTED: "it does not speak this protocol: is this a flashvsr-serve?",
        grpc.StatusCode.PERMISSION_DENIED: "it wants a token that this client does not send",
    }.get(code, "see its log")
    return ServerError(f"the server at {server} answered {code.name} ({' '.join(details.split())}): {remedy}")
