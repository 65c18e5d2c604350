"""What the service refuses, as one tree; each kind is one code on the wire.

ServiceError
├── InvalidRequest      wrong in itself: never retry
├── UnsupportedVersion  the client speaks another protocol version
├── NoSession           unknown, closed or expired
├── OutOfOrder          the chunk index is neither the next nor the last one
├── Busy                no room for another session now: retry
├── TooLarge            a request, or an answer to it, would pass the server's limits
├── Draining            the server stops: open elsewhere
├── Unauthenticated     the token is missing or wrong
└── SessionLost         the session broke: open another
"""

from __future__ import annotations

from typing import ClassVar

from flashvsr_proto.v1 import stream_pb2 as pb


class ServiceError(Exception):
    """A refusal that the client is told; the message is a sentence with the value and the remedy."""

    code: ClassVar[pb.ErrorCode] = pb.ERROR_CODE_INTERNAL
    retry_after_ms: ClassVar[int] = 0


class InvalidRequest(ServiceError):  # noqa: N818 - named as the code on the wire is
    """Wrong in itself: never retry."""

    code = pb.ERROR_CODE_INVALID_REQUEST


class UnsupportedVersion(ServiceError):  # noqa: N818
    """The client speaks another protocol version."""

    code = pb.ERROR_CODE_UNSUPPORTED_VERSION


class NoSession(ServiceError):  # noqa: N818
    """Unknown, closed or expired."""

    code = pb.ERROR_CODE_NO_SESSION


class OutOfOrder(ServiceError):  # noqa: N818
    """The chunk index is neither the next nor the last one."""

    code = pb.ERROR_CODE_OUT_OF_ORDER


class Busy(ServiceError):  # noqa: N818
    """No room for another session now."""

    code = pb.ERROR_CODE_BUSY
    retry_after_ms = 2000


class TooLarge(ServiceError):  # noqa: N818
    """A request, or an answer to it, would pass the server's limits."""

    code = pb.ERROR_CODE_TOO_LARGE


class SessionLost(ServiceError):  # noqa: N818
    """The session broke: open another."""

    code = pb.ERROR_CODE_SESSION_LOST


class Draining(ServiceError):  # noqa: N818
    """The server stops: open elsewhere, or here once it is back."""

    code = pb.ERROR_CODE_DRAINING
    retry_after_ms = 5000


class Unauthenticated(ServiceError):  # noqa: N818
    """The token is missing or wrong."""

    code = pb.ERROR_CODE_UNAUTHENTICATED
