"""`flashvsr ui`: the page in the browser."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import click

from flashvsr_client.cli.engine_options import UnderscoreCommand, chosen, engine_options
from flashvsr_client.client import Client
from flashvsr_client.config import Access, LocalOptions
from flashvsr_client.errors import UsageError

_UNITS: Final = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_UNITS_OF_1024: Final = {"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}
_AT_ONCE: Final = 2


class _Size(click.ParamType[int]):
    """Bytes, or a number and a unit: 2GiB, 500MB."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See `click.ParamType`."""
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", str(value).lower())
        unit = (_UNITS | _UNITS_OF_1024).get(found[2]) if found else None
        if found is None or unit is None or float(found[1]) * unit < 1:
            self.fail(f"{value!r} is no size: give bytes, or such as 500MB or 2GiB", param, ctx)
        return int(float(found[1]) * unit)


@click.command(cls=UnderscoreCommand)
@click.option("--server", metavar="HOST:PORT,...", help="A flashvsr-serve; without it the engine runs in this process.")
@click.option("--token-file", metavar="FILE", help="Of a server that asks who calls; else FLASHVSR_TOKEN is taken.")
@click.option("--tls-ca", metavar="PEM", help='Who signed the server\'s certificate; "system" for public ones.')
@click.option("--local", is_flag=True, help="Run the engine in this process: the default.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0: others may use the page too.")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="0: any that is free.")
@click.option("--password-file", metavar="FILE", type=click.Path(path_type=Path), help="Lines of NAME:PASSWORD.")
@click.option("--max-upload", type=_Size(), default="2GiB", show_default=True, help="Of a video.")
@click.option(
    "--keep", type=click.FloatRange(min=1), default=60, show_default=True, help="Minutes that files are kept."
)
@click.option("--at-once", type=click.IntRange(1, 64), help=f"Jobs at a time on the server.  [default: {_AT_ONCE}]")
@click.option("--root-path", metavar="/PATH", default="", help="Under which a proxy shows the page.")
@click.option("--allow-host", metavar="NAME", multiple=True, help="Name by which a proxy on this machine asks for it.")
@engine_options
def ui(
    *,
    server: str | None,
    token_file: str | None,
    tls_ca: str | None,
    local: bool,
    host: str,
    port: int,
    password_file: Path | None,
    max_upload: int,
    keep: float,
    at_once: int | None,
    root_path: str,
    allow_host: tuple[str, ...],
    **others: Any,
) -> None:
    """Serve a page in the browser: drop a video, watch it grow, compare, download.

    The engine's options below are what the page begins with, or are fixed where the page does not show them.
    """
    from flashvsr_client.ui.engines import LocalEngine, ServerEngines
    from flashvsr_client.ui.serve import Place, serve

    options = _local_options(server, local=local, at_once=at_once, given=chosen(others))
    place = Place(
        host=host,
        port=port,
        root_path=root_path.rstrip("/"),
        allowed_hosts=allow_host,
        users=_users(password_file),
        max_upload=max_upload,
        keep_seconds=60 * keep,
    )
    if not place.loopback and not place.users:
        click.echo(f"flashvsr: whoever reaches {host} can use the page: --password-file asks for a name", err=True)
    if server is None:
        serve(place, LocalEngine(options), 1)
        return
    access = Access.read(os.environ, token_file=token_file, tls_ca=tls_ca)
    serve(place, ServerEngines(server, Client(server, access=access)), at_once or _AT_ONCE)


def _local_options(server: str | None, *, local: bool, at_once: int | None, given: dict[str, Any]) -> LocalOptions:
    if server is None:
        if at_once is not None:
            raise click.UsageError("--at-once is of a server; the engine in this process does one job after the other")
        return LocalOptions(**given)
    if local:
        raise click.UsageError("--local and --server exclude each other: give one of them")
    if given:
        raise click.UsageError(f"{', '.join(sorted(given))}: the server chooses that; leave it out with --server")
    return LocalOptions()


def _users(path: Path | None) -> tuple[tuple[str, str], ...]:
    """Read names and passwords, a line each. Raises :class:`UsageError`."""
    if path is None:
        return ()
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--password-file {path} cannot be read: {error}") from error
    users = [line.partition(":") for line in lines if line and not line.startswith("#")]
    if not users or not all(name and password for name, _, password in users):
        raise UsageError(f"--password-file {path}: give lines of NAME:PASSWORD, one at least; # begins a comment")
    return tuple((name, password) for name, _, password in users)
