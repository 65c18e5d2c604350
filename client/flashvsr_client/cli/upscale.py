"""`flashvsr upscale IN -o OUT`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from flashvsr_client import batch
from flashvsr_client.cli.engine_options import UnderscoreCommand, chosen, engine_options
from flashvsr_client.cli.job_options import interruptible, job_of, job_options, segmentation_of
from flashvsr_client.cli.media_options import COMPARE_HELP, encoding_of, media_options, reading_of
from flashvsr_client.client import Client
from flashvsr_client.config import DEFAULT_SERVER, Access, LocalOptions, Reading
from flashvsr_client.media.output import NOWHERE
from flashvsr_client.progress import KINDS, progress_on
from flashvsr_client.report import Report


@click.command(cls=UnderscoreCommand)
@click.argument("sources", metavar="IN...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--input", "also_source", metavar="IN", type=click.Path(path_type=Path), help="The same as IN.")
@click.option("-o", "--output", "output", metavar="OUT", help="What to write; of many IN a folder or a pattern.")
@click.option("--server", metavar="HOST:PORT,...", help=f"Each a flashvsr-serve.  [default: {DEFAULT_SERVER}]")
@click.option("--token-file", metavar="FILE", help="Of a server that asks who calls; else FLASHVSR_TOKEN is taken.")
@click.option("--tls-ca", metavar="PEM", help='Who signed the server\'s certificate; "system" for public ones.')
@click.option("--local", is_flag=True, help="Run the engine in this process, without a server.")
@click.option("--devices", metavar="all|LIST", help="With --local: an engine process for each, such as cuda:0,cuda:1.")
@click.option("--plan", is_flag=True, help="With --local: say how much memory IN would take, and stop.")
@click.option("--scale", type=int, default=4, show_default=True, help="2, 3 or 4.")
@click.option("--seed", type=int, help="Of the model's noise; the same seed gives the same output.")
@click.option("--progress", "shown", type=click.Choice(KINDS), default="auto", help="How it is shown, on stderr.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no report; errors are still shown.")
@click.option("--compare", "comparison", metavar="PNG|MP4", type=click.Path(path_type=Path), help=COMPARE_HELP)
@click.option("--benchmark", is_flag=True, help="Throw OUT away and say where the time went.")
@job_options
@media_options
@engine_options
def upscale(
    *,
    sources: tuple[Path, ...],
    also_source: Path | None,
    output: str | None,
    server: str | None,
    token_file: str | None,
    tls_ca: str | None,
    local: bool,
    devices: str | None,
    plan: bool,
    scale: int,
    seed: int | None,
    shown: str,
    quiet: bool,
    comparison: Path | None,
    benchmark: bool,
    resume: bool,
    segment_frames: int | None,
    segment_overlap: int | None,
    job_dir: Path | None,
    **others: Any,
) -> int:
    """Upscale the video IN into OUT, with its frame times, colours, audio, subtitles and chapters.

    IN is a video, a folder of pictures, or - for y4m on standard input. OUT is a video (.mp4, .mov, .mkv, .webm), a
    folder of PNG (a name without an ending, or frames/%06d.png), or - for y4m on standard output.

    Of several IN, or a folder of videos, OUT is a folder, or a pattern such as {stem}_{scale}x.mp4. A film of more
    than 960 frames is made in segments, which are kept until it is finished: --resume goes on.
    """
    reading, encoding = reading_of(others), encoding_of(others)
    options = _local_options(server, devices, local=local, plan=plan, given=chosen(others))
    if plan:
        click.echo(_plan(_one_source(sources, also_source), reading, scale, options or LocalOptions()))
        return 0
    if output is None and not benchmark:
        raise click.UsageError("Missing option '-o' / '--output'")
    access = Access.read(os.environ, token_file=token_file, tls_ca=tls_ca)
    segmentation, job = segmentation_of(segment_frames, segment_overlap), job_of(resume, job_dir)

    def one(item: batch.Item) -> Report:
        if comparison is not None:
            from flashvsr_client.media.compare import check_comparison

            check_comparison(comparison, item.source, item.target, overwrite=encoding.overwrite)
        with progress_on(sys.stderr, quiet=quiet, kind=shown) as progress:
            report = client.upscale_file(
                item.source,
                item.target,
                scale,
                seed=seed,
                encoding=encoding,
                segmentation=segmentation,
                job=job,
                progress=progress,
                interrupt=interrupt,
                reading=reading,
            )
        if comparison is not None:
            _compare(item, reading, comparison, overwrite=encoding.overwrite)
        return report

    with interruptible() as interrupt, _client(server, access, options, devices) as client:
        if benchmark or output is None or not _is_batch(sources, output):
            target = Path(NOWHERE if benchmark or output is None else output)
            report = one(batch.Item(_one_source(sources, also_source), target))
            _say(report, quiet=quiet, benchmark=benchmark)
            return 0
        if comparison is not None:
            raise click.UsageError("--compare is of one input: give one")
        given = [*sources, *([also_source] if also_source else [])]
        outcomes = batch.run(batch.items(given, output, scale), one, resume=resume)
    for outcome in outcomes:
        if outcome.error is not None or not quiet:
            click.echo(str(outcome), err=True)
    return batch.exit_code(outcomes)


def _is_batch(sources: tuple[Path, ...], output: str) -> bool:
    from flashvsr_client.media.folder import is_frame_folder

    of_films = any(source.is_dir() and not is_frame_folder(source) for source in sources)
    return len(sources) > 1 or of_films or batch.is_pattern(output)


def _compare(item: batch.Item, reading: Reading, comparison: Path, *, overwrite: bool) -> None:
    from flashvsr_client.media.compare import compare
    from flashvsr_client.media.probe import probe

    compare(probe(item.source, reading), item.target, comparison, overwrite=overwrite)


def _say(report: Report, *, quiet: bool, benchmark: bool) -> None:
    if not quiet:
        for line in (*report.notes, str(report)):
            click.echo(line, err=True)
    if benchmark:
        click.echo(report.stages.summary(report.seconds, report.frames))


def _client(server: str | None, access: Access, options: LocalOptions | None, devices: str | None) -> Client:
    if options is None:
        return Client(server or DEFAULT_SERVER, access=access)
    return Client.local(options, devices=devices) if devices else Client.local(options)


def _one_source(arguments: tuple[Path, ...], option: Path | None) -> Path:
    if arguments and option is not None:
        given = str(arguments[0])
        raise click.UsageError(f"IN is given twice, as {given!r} and as --input {str(option)!r}: give it once")
    source = arguments[0] if arguments else option
    if source is None:
        raise click.UsageError("Missing argument 'IN'")
    return source


def _local_options(
    server: str | None, devices: str | None, *, local: bool, plan: bool, given: dict[str, Any]
) -> LocalOptions | None:
    """Options of the engine in this process; None when a server is to do it, which chooses them itself."""
    if not local:
        names = [*sorted(given), *(["plan"] if plan else []), *(["devices"] if devices else [])]
        if names:
            raise click.UsageError(f"{', '.join(names)}: the server chooses that; give it with --local only")
        return None
    if server is not None:
        raise click.UsageError("--local and --server exclude each other: give one of them")
    if devices is not None and "device" in given:
        raise click.UsageError("--device and --devices exclude each other: give one of them")
    return LocalOptions(**given)


def _plan(video: Path, reading: Reading, scale: int, options: LocalOptions) -> str:
    from flashvsr_client.media.probe import probe
    from flashvsr_client.transport.base import StreamSpec
    from flashvsr_client.transport.local import LocalTransport

    info = probe(video, reading)
    return LocalTransport(options).plan(StreamSpec(info.width, info.height, scale))
