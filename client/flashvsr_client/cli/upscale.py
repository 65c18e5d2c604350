"""`flashvsr upscale IN -o OUT`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click

from flashvsr_client.cli.engine_options import UnderscoreCommand, chosen, engine_options
from flashvsr_client.cli.media_options import COMPARE_HELP, encoding_of, media_options, reading_of
from flashvsr_client.client import Client
from flashvsr_client.config import DEFAULT_SERVER, LocalOptions, Reading
from flashvsr_client.media.output import NOWHERE
from flashvsr_client.progress import progress_on


@click.command(cls=UnderscoreCommand)
@click.argument("source", metavar="IN", required=False, type=click.Path(path_type=Path))
@click.option("--input", "also_source", metavar="IN", type=click.Path(path_type=Path), help="The same as IN.")
@click.option("-o", "--output", "target", metavar="OUT", type=click.Path(path_type=Path), help="The video to write.")
@click.option("--server", metavar="HOST:PORT", help=f"A flashvsr-serve.  [default: {DEFAULT_SERVER}]")
@click.option("--local", is_flag=True, help="Run the engine in this process, without a server.")
@click.option("--plan", is_flag=True, help="With --local: say how much memory IN would take, and stop.")
@click.option("--scale", type=int, default=4, show_default=True, help="2, 3 or 4.")
@click.option("--seed", type=int, help="Of the model's noise; the same seed gives the same output.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no report; errors are still shown.")
@click.option("--compare", "comparison", metavar="PNG|MP4", type=click.Path(path_type=Path), help=COMPARE_HELP)
@click.option("--benchmark", is_flag=True, help="Throw OUT away and say where the time went.")
@media_options
@engine_options
def upscale(
    *,
    source: Path | None,
    also_source: Path | None,
    target: Path | None,
    server: str | None,
    local: bool,
    plan: bool,
    scale: int,
    seed: int | None,
    quiet: bool,
    comparison: Path | None,
    benchmark: bool,
    **others: Any,
) -> None:
    """Upscale the video IN into OUT, with its frame times, colours, audio, subtitles and chapters.

    IN is a video, a folder of pictures, or - for y4m on standard input. OUT is a video (.mp4, .mov, .mkv, .webm), a
    folder of PNG (a name without an ending, or frames/%06d.png), or - for y4m on standard output.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    video = _one_source(source, also_source)
    reading, encoding = reading_of(others), encoding_of(others)
    options = _local_options(server, local=local, plan=plan, given=chosen(others))
    if plan:
        click.echo(_plan(video, reading, scale, options or LocalOptions()))
        return
    if benchmark:
        target = NOWHERE
    if target is None:
        raise click.UsageError("Missing option '-o' / '--output'")
    if comparison is not None:
        from flashvsr_client.media.compare import check_comparison, compare
        from flashvsr_client.media.probe import probe

        check_comparison(comparison, video, target, overwrite=encoding.overwrite)
    with Client(server or DEFAULT_SERVER) if options is None else Client.local(options) as client:
        with progress_on(sys.stderr, quiet=quiet) as progress:
            report = client.upscale_file(
                video, target, scale, seed=seed, encoding=encoding, progress=progress, reading=reading
            )
        if comparison is not None:
            compare(probe(video, reading), target, comparison, overwrite=encoding.overwrite)
        if not quiet:
            click.echo(str(report), err=True)
    if benchmark:
        click.echo(report.stages.summary(report.seconds, report.frames))


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


def _plan(video: Path, reading: Reading, scale: int, options: LocalOptions) -> str:
    from flashvsr_client.media.probe import probe
    from flashvsr_client.transport.base import StreamSpec
    from flashvsr_client.transport.local import LocalTransport

    info = probe(video, reading)
    return LocalTransport(options).plan(StreamSpec(info.width, info.height, scale))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM ends a job as Ctrl-C does: nothing is left behind."""
    raise KeyboardInterrupt
