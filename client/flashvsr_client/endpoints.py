"""Places with engines, each reached by one transport."""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Lock

from flashvsr_client.config import Access, RetryPolicy, Timeout
from flashvsr_client.errors import ServerBusyError, ServerUnreachableError, UsageError
from flashvsr_client.transport.base import Health, Stream, StreamSpec, Transport


class Endpoint:
    """A place with one or several engines. Safe to use from several threads."""

    def __init__(self, name: str, transport: Transport) -> None:
        self.name = name
        self._transport = transport
        self._opening = Lock()

    def open(self, spec: StreamSpec) -> Stream:
        """Open a stream, one at a time, so that each goes to the engine that is free then. See :class:`Transport`."""
        with self._opening:
            return self._transport.open(spec)

    def ping(self) -> Sequence[Health]:
        """Ask each of its engines how it is. Raises :class:`ServerUnreachableError`."""
        return self._transport.ping()

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()


def open_first(endpoints: Sequence[Endpoint], spec: StreamSpec) -> Stream:
    """Open a stream at the first endpoint that has room. Raises what the last one does."""
    for endpoint in endpoints[:-1]:
        try:
            return endpoint.open(spec)
        except (ServerBusyError, ServerUnreachableError):
            continue
    return endpoints[-1].open(spec)


def ping_all(endpoints: Sequence[Endpoint]) -> list[tuple[Endpoint, Sequence[Health]]]:
    """Ask all; one that does not answer has no engines. Raises :class:`ServerUnreachableError` where none answers."""
    answers: list[tuple[Endpoint, Sequence[Health]]] = []
    missing: ServerUnreachableError | None = None
    for endpoint in endpoints:
        try:
            answers.append((endpoint, endpoint.ping()))
        except ServerUnreachableError as error:
            missing = error
            answers.append((endpoint, ()))
    if missing is not None and not any(healths for _, healths in answers):
        raise missing
    return answers


def endpoints_at(
    server: str | Sequence[str], timeout: Timeout | None, retry: RetryPolicy | None, access: Access | None
) -> tuple[Endpoint, ...]:
    """Give one for each address of a server, of which commas may stand between several.

    ``access``, by default, is what the environment says. Raises :class:`UsageError` for an address that is none.
    """
    from flashvsr_client.transport.server import GrpcTransport

    addresses = [part.strip() for part in server.split(",")] if isinstance(server, str) else list(server)
    if not addresses or len(set(addresses)) < len(addresses):
        raise UsageError(f"server {server!r}: give each address once")
    reached = access or Access.read(os.environ)
    return tuple(
        Endpoint(address, GrpcTransport(address, timeout=timeout, retry=retry, access=reached)) for address in addresses
    )


def wrapped(transport: Transport | Sequence[Transport]) -> tuple[Endpoint, ...]:
    """Give one for each transport, with a name for people."""
    if not isinstance(transport, Sequence):
        return (Endpoint("engine", transport),)
    return tuple(Endpoint(f"engine {place}", one) for place, one in enumerate(transport, 1))
