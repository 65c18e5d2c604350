"""The addresses that the server listens on."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from flashvsr_handler.serve.errors import Exit, ServeError

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """One for each of TorchServe's listeners."""

    grpc: int
    grpc_management: int
    http: int
    metrics: int
    direct: tuple[int, ...] = ()
    """Of the workers themselves, one a model; 0 = each takes a free one."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """The addresses that others can reach the server at; everything else listens on the loopback interface."""

    grpc: str
    http: str
    metrics: str


def choose_ports(hosts: Hosts, grpc_port: int, http_port: int, direct: tuple[int, ...] = ()) -> Ports:
    """Take the ports from those that were asked for: gRPC and the one after it, HTTP and the second after it; 0 = free.

    Raises :class:`ServeError` when one is in use or the host is not one of this machine.
    """
    with ExitStack() as held:  # hold all until the last is found: no free port is found twice

        def take(address: str, port: int, option: str) -> int:
            probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                why = error.strerror or str(error)
                message = f"cannot listen on {address}:{port} ({why}): stop what uses it or choose another {option}"
                raise ServeError(Exit.PORT_IN_USE, message) from error
            taken: int = probe.getsockname()[1]
            return taken

        for port in direct:
            take(hosts.grpc, port, "--direct-port")
        return Ports(
            direct=direct,
            grpc=take(hosts.grpc, grpc_port, "--grpc-port"),
            grpc_management=take(LOOPBACK, grpc_port and grpc_port + 1, "--grpc-port"),
            http=take(hosts.http, http_port, "--http-port"),
            metrics=take(hosts.metrics, http_port and http_port + 2, "--http-port"),
        )
