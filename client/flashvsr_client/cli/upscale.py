"""`flashvsr upscale IN -o OUT`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from flashvsr_client import batch, overlap
from flashvsr_client.cli.engine_options import UnderscoreCommand, engine_options
from flashvsr_client.cli.job_options import interruptible, job_of, job_options, segmentation_of
from flashvsr_client.cli.media_options import COMPARE_HELP, encoding_of, media_options, reading_of
from flashvsr_client.cli.place_options import place_of, place_options
from flashvsr_client.config import LocalOptions, Reading
from flashvsr_client.locations import is_address
from flashvsr_client.media.output import NOWHERE
from flashvsr_client.progress import KINDS, display_on
from flashvsr_client.report import Report
from flashvsr_client.staging import Staging


class _Input(click.ParamType[Path | str]):
    """A path, or an address such as s3://bucket/film.mp4."""

    name = "IN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """See `click.ParamType`."""
        return value if is_address(str(value)) else Path(value)


@click.command(cls=UnderscoreCommand)
@click.argument("sources", metavar="IN...", nargs=-1, type=_Input())
@click.option("--input", "also_source", metavar="IN", type=_Input(), help="The same as IN.")
@click.option("-o", "--output", "output", metavar="OUT", help="What to write; of many IN a folder or a pattern.")
@click.option("--scale", type=int, default=4, show_default=True, help="2, 3 or 4.")
@click.option("--seed", type=int, help="Of the model's noise; the same seed gives the same output.")
@click.option("--progress", "shown", type=click.Choice(KINDS), default="auto", help="How it is shown, on stderr.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no report; errors are still shown.")
@click.option("--compare", "comparison", metavar="PNG|MP4", type=click.Path(path_type=Path), help=COMPARE_HELP)
@click.option("--benchmark", is_flag=True, help="Throw OUT away and say where the time went.")
@place_options
@job_options
@media_options
@engine_options
def upscale(
    *,
    sources: tuple[Path | str, ...],
    also_source: Path | str | None,
    output: str | None,
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
    place, staging = place_of({**others, "plan": plan}), Staging(job_dir)
    given = [staging.source(source) for source in _sources(sources, also_source)]
    if plan:
        click.echo(_plan(_one(given), reading, scale, place.engine or LocalOptions()))
        return 0
    if benchmark and (place.devices is not None or place.cluster is not None):
        raise click.UsageError("--benchmark times one session: leave --devices and --ray out; --device chooses a GPU")
    if output is None and not benchmark:
        raise click.UsageError("Missing option '-o' / '--output'")
    segmentation, job = segmentation_of(segment_frames, segment_overlap), job_of(resume, job_dir)

    def one(item: batch.Item, *, spare: Callable[[], None] | None = None) -> Report:
        staging.prepare(item.target, overwrite=encoding.overwrite)
        if comparison is not None:
            from flashvsr_client.media.compare import check_comparison

            check_comparison(comparison, item.source, item.target, overwrite=encoding.overwrite)
        with display(staging.name_of(item.source) if several else "") as progress:
            staging.bring(item.source, interrupt.asked)
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
                spare=spare,
            )
        if comparison is not None:
            _compare(item, reading, comparison, overwrite=encoding.overwrite)
        sent = staging.send(item.source, item.target)
        return report if sent is None else replace(report, notes=(*report.notes, f"written to {sent}"))

    several = not benchmark and output is not None and _is_batch(given, output)
    with (
        interruptible() as interrupt,
        place.client(staging.address_of) as client,
        display_on(sys.stderr, quiet=quiet, kind=shown) as display,
    ):
        if not several or output is None:
            target = Path(NOWHERE if benchmark or output is None else staging.target(output))
            report = one(batch.Item(_one(given), target))
        elif comparison is not None:
            raise click.UsageError("--compare is of one input: give one")
        else:
            items = batch.items(given, staging.target(output), scale)
            if client.shared:
                outcomes = overlap.run(items, one, resume=resume, present=staging.present, interrupt=interrupt)
            else:
                outcomes = batch.run(items, one, resume=resume, present=staging.present)
    if not several:
        _say(report, quiet=quiet, benchmark=benchmark)
        return 0
    for outcome in outcomes:
        if outcome.error is not None or not quiet:
            click.echo(str(outcome), err=True)
    return batch.exit_code(outcomes)


def _is_batch(sources: Sequence[Path], output: str) -> bool:
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


def _sources(arguments: tuple[Path | str, ...], option: Path | str | None) -> list[Path | str]:
    if len(arguments) == 1 and option is not None:
        given = str(arguments[0])
        raise click.UsageError(f"IN is given twice, as {given!r} and as --input {str(option)!r}: give it once")
    return [*arguments, *([option] if option is not None else [])]


def _one(sources: Sequence[Path]) -> Path:
    if not sources:
        raise click.UsageError("Missing argument 'IN'")
    return sources[0]


def _plan(video: Path, reading: Reading, scale: int, options: LocalOptions) -> str:
    from flashvsr_client.media.probe import probe
    from flashvsr_client.transport.base import StreamSpec
    from flashvsr_client.transport.local import LocalTransport

    info = probe(video, reading)
    return LocalTransport(options).plan(StreamSpec(info.width, info.height, scale))
