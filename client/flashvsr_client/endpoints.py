"""Places with engines, each reached by one transport."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from flashvsr_client.errors import ServerBusyError, ServerUnreachableError
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
