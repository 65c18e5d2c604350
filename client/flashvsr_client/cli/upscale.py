"""`flashvsr upscale IN -o OUT`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click

from flashvsr_client.cli.engine_options import UnderscoreCommand, chosen, engine_options
from flashvsr_client.client import Client
from flashvsr_client.config import DEFAULT_SERVER, Access, Encoding, LocalOptions
from flashvsr_client.progress import progress_on


@click.command(cls=UnderscoreCommand)
@click.argument("source", metavar="IN", required=False, type=click.Path(path_type=Path))
@click.option("--input", "also_source", metavar="IN", type=click.Path(path_type=Path), help="The same as IN.")
@click.option("-o", "--output", "target", metavar="OUT", type=click.Path(path_type=Path), help="The video to write.")
@click.option("--server", metavar="HOST:PORT", help=f"A flashvsr-serve.  [default: {DEFAULT_SERVER}]")
@click.option("--token-file", metavar="FILE", help="Of a server that asks who calls; else FLASHVSR_TOKEN is taken.")
@click.option("--tls-ca", metavar="PEM", help='Who signed the server\'s certificate; "system" for public ones.')
@click.option("--local", is_flag=True, help="Run the engine in this process, without a server.")
@click.option("--plan", is_flag=True, help="With --local: say how much memory IN would take, and stop.")
@click.option("--scale", type=int, default=4, show_default=True, help="2, 3 or 4.")
@click.option("-y", "--overwrite", is_flag=True, help="Overwrite an existing OUT.")
@click.option("--crf", type=int, default=18, show_default=True, help="Quality of the output, 0 (lossless) to 51.")
@click.option("--no-audio", is_flag=True, help="Leave the input's audio out.")
@click.option("--seed", type=int, help="Of the model's noise; the same seed gives the same output.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no report; errors are still shown.")
@engine_options
def upscale(
    *,
    source: Path | None,
    also_source: Path | None,
    target: Path | None,
    server: str | None,
    token_file: str | None,
    tls_ca: str | None,
    local: bool,
    plan: bool,
    scale: int,
    overwrite: bool,
    crf: int,
    no_audio: bool,
    seed: int | None,
    quiet: bool,
    **engine: Any,
) -> None:
    """Upscale the video IN into OUT (.mp4, .mov or .mkv), with its frame times, colours and audio.

    The output is H.264 4:2:0; where a side of it is odd, which 4:2:0 cannot hold, it is 4:4:4, so that every pixel
    is kept.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    video = _one_source(source, also_source)
    options = _local_options(server, local=local, plan=plan, given=chosen(engine))
    if plan:
        click.echo(_plan(video, scale, options or LocalOptions()))
        return
    if target is None:
        raise click.UsageError("Missing option '-o' / '--output'")
    encoding = Encoding(crf=crf, audio=not no_audio, overwrite=overwrite)
    access = Access.read(os.environ, token_file=token_file, tls_ca=tls_ca)
    with Client(server or DEFAULT_SERVER, access=access) if options is None else Client.local(options) as client:
        with progress_on(sys.stderr, quiet=quiet) as progress:
            report = client.upscale_file(video, target, scale, seed=seed, encoding=encoding, progress=progress)
        if not quiet:
            click.echo(str(report), err=True)


def _one_source(argument: Path | None, option: Path | None) -> Path:
    if argument is not None and option is not None:
        raise click.UsageError(f"IN is given twice, as {str(argument)!r} and as --input {str(option)!r}: give it once")
    source = argument or option
    if source is None:
        raise click.UsageError("Missing argument 'IN'")
    return source


def _local_options(server: str | None, *, local: bool, plan: bool, given: dict[str, Any]) -> LocalOptions | None:
    """Options of the engine in this process; None when a server is to do it, which chooses them itself."""
    if not local:
        names = [*sorted(given), *(["plan"] if plan else [])]
        if names:
            raise click.UsageError(f"{', '.join(names)}: the server chooses that; give it with --local only")
        return None
    if server is not None:
        raise click.UsageError("--local and --server exclude each other: give one of them")
    return LocalOptions(**given)


def _plan(video: Path, scale: int, options: LocalOptions) -> str:
    from flashvsr_client.media.probe import probe
    from flashvsr_client.transport.base import StreamSpec
    from flashvsr_client.transport.local import LocalTransport

    info = probe(video)
    return LocalTransport(options).plan(StreamSpec(info.width, info.height, scale))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM ends a job as Ctrl-C does: nothing is left behind."""
    raise KeyboardInterrupt
