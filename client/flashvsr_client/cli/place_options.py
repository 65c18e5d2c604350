"""The options of `flashvsr upscale` that say who does the work: servers, this machine, or a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from flashvsr_client.cli.engine_options import chosen
from flashvsr_client.client import Client
from flashvsr_client.cluster.options import FILES, ClusterOptions
from flashvsr_client.config import DEFAULT_SERVER, Access, LocalOptions

_CLUSTER: Final = {
    "ray": "address",
    "ray_actors": "actors",
    "ray_cpus": "cpus",
    "ray_wait": "wait",
    "ray_files": "files",
    "ray_scratch": "scratch",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Who does the work: a cluster, else the engine of this machine, else a server."""

    servers: str = DEFAULT_SERVER
    access: Access = field(default_factory=Access)
    engine: LocalOptions | None = None
    devices: str | None = None
    cluster: ClusterOptions | None = None

    def client(self, address_of: Callable[[Path], str | None]) -> Client:
        """Give a client of it; ``address_of``: see :meth:`Client.on_cluster`."""
        if self.cluster is not None:
            return Client.on_cluster(self.cluster, self.engine, address_of=address_of)
        if self.engine is None:
            return Client(self.servers, access=self.access)
        return Client.local(self.engine, devices=self.devices) if self.devices else Client.local(self.engine)


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that :func:`place_of` reads."""
    options = [
        click.option("--server", metavar="HOST:PORT,...", help=f"Each a flashvsr-serve.  [default: {DEFAULT_SERVER}]"),
        click.option("--token-file", metavar="FILE", help="Of a server that asks who calls; else FLASHVSR_TOKEN."),
        click.option("--tls-ca", metavar="PEM", help='Who signed the server\'s certificate; "system": public ones.'),
        click.option("--local", is_flag=True, help="Run the engine in this process, without a server."),
        click.option(
            "--devices", metavar="all|LIST", help="With --local: an engine process for each, as cuda:0,cuda:1."
        ),
        click.option("--plan", is_flag=True, help="With --local: say how much memory IN would take, and stop."),
        click.option("--ray", metavar="ADDRESS|auto", help="On a Ray cluster: HOST:PORT, ray://HOST:PORT or this one."),
        click.option("--ray-actors", type=int, help="Engines on it.  [default: one for each GPU, or --ray-cpus]"),
        click.option("--ray-cpus", type=int, help="Cores of each engine.  [default: 1 beside a GPU, else 4]"),
        click.option("--ray-wait", type=float, metavar="SECONDS", help="For room on it.  [default: 60]"),
        click.option("--ray-files", type=click.Choice(FILES), help="How films travel to nodes.  [default: auto]"),
        click.option("--ray-scratch", metavar="DIR", help="Of each node.  [default: where its temporary files are]"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def place_of(options: dict[str, Any]) -> Place:
    """Take the options of the place, and read those of the engine. Raises :class:`UsageError`."""
    server, local, plan, devices = (options.pop(name) for name in ("server", "local", "plan", "devices"))
    access = Access.read(os.environ, token_file=options.pop("token_file"), tls_ca=options.pop("tls_ca"))
    cluster = _cluster(options)
    given = chosen(options)
    if server is not None and (local or cluster):
        raise click.UsageError(f"--{'ray' if cluster else 'local'} and --server exclude each other: give one of them")
    if cluster is not None:
        for name, value in (("local", local), ("devices", devices), ("plan", plan)):
            if value:
                raise click.UsageError(f"--ray and --{name} exclude each other: give one of them")
        return Place(engine=LocalOptions(**given), cluster=cluster)
    if local:
        if devices is not None and "device" in given:
            raise click.UsageError("--device and --devices exclude each other: give one of them")
        return Place(engine=LocalOptions(**given), devices=devices)
    if names := [*sorted(given), *(["plan"] if plan else []), *(["devices"] if devices else [])]:
        raise click.UsageError(f"{', '.join(names)}: the server chooses that; give it with --local only")
    return Place(server or DEFAULT_SERVER, access)


def _cluster(options: dict[str, Any]) -> ClusterOptions | None:
    given = {field: value for name, field in _CLUSTER.items() if (value := options.pop(name)) is not None}
    if given and "address" not in given:
        names = ", ".join(f"--ray-{name}" for name in given)
        raise click.UsageError(f"{names}: only of a cluster; give --ray ADDRESS too")
    return ClusterOptions(**given) if given else None
