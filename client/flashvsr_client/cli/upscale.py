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
from flashvsr_client.client import Client
from flashvsr_client.config import DEFAULT_SERVER, Access, Encoding, LocalOptions
from flashvsr_client.progress import progress_on
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
@click.option("-y", "--overwrite", is_flag=True, help="Overwrite an existing OUT.")
@click.option("--crf", type=int, default=18, show_default=True, help="Quality of the output, 0 (lossless) to 51.")
@click.option("--no-audio", is_flag=True, help="Leave the input's audio out.")
@click.option("--seed", type=int, help="Of the model's noise; the same seed gives the same output.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no report; errors are still shown.")
@job_options
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
    overwrite: bool,
    crf: int,
    no_audio: bool,
    seed: int | None,
    quiet: bool,
    resume: bool,
    segment_frames: int | None,
    segment_overlap: int | None,
    job_dir: Path | None,
    **engine: Any,
) -> int:
    """Upscale the video IN into OUT (.mp4, .mov or .mkv), with its frame times, colours and audio.

    The output is H.264 4:2:0; where a side of it is odd, which 4:2:0 cannot hold, it is 4:4:4, so that every pixel
    is kept.

    Of several IN, or a folder of videos, OUT is a folder, or a pattern such as {stem}_{scale}x.mp4. A film of more
    than 960 frames is made in segments, which are kept until it is finished: --resume goes on.
    """
    options = _local_options(server, devices, local=local, plan=plan, given=chosen(engine))
    if plan:
        click.echo(_plan(_one_source(sources, also_source), scale, options or LocalOptions()))
        return 0
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'")
    encoding = Encoding(crf=crf, audio=not no_audio, overwrite=overwrite)
    access = Access.read(os.environ, token_file=token_file, tls_ca=tls_ca)
    segmentation, job = segmentation_of(segment_frames, segment_overlap), job_of(resume, job_dir)

    def one(item: batch.Item) -> Report:
        with progress_on(sys.stderr, quiet=quiet) as progress:
            return client.upscale_file(
                item.source,
                item.target,
                scale,
                seed=seed,
                encoding=encoding,
                segmentation=segmentation,
                job=job,
                progress=progress,
                interrupt=interrupt,
            )

    with interruptible() as interrupt, _client(server, access, options, devices) as client:
        if not _is_batch(sources, output):
            report = one(batch.Item(_one_source(sources, also_source), Path(output)))
            if not quiet:
                _say(report)
            return 0
        given = [*sources, *([also_source] if also_source else [])]
        outcomes = batch.run(batch.items(given, output, scale), one, resume=resume)
    for outcome in outcomes:
        if outcome.error is not None or not quiet:
            click.echo(str(outcome), err=True)
    return batch.exit_code(outcomes)


def _is_batch(sources: tuple[Path, ...], output: str) -> bool:
    return len(sources) > 1 or any(source.is_dir() for source in sources) or batch.is_pattern(output)


def _say(report: Report) -> None:
    for line in (*report.notes, str(report)):
        click.echo(line, err=True)


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


def _plan(video: Path, scale: int, options: LocalOptions) -> str:
    from flashvsr_client.media.probe import probe
    from flashvsr_client.transport.base import StreamSpec
    from flashvsr_client.transport.local import LocalTransport

    info = probe(video)
    return LocalTransport(options).plan(StreamSpec(info.width, info.height, scale))
