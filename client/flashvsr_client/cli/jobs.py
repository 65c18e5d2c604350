"""`flashvsr jobs`, `recover` and `clean`: what is unfinished, what can be had of it, and away with it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from flashvsr_client.errors import ClientError

_FOLDERS = click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path))


@click.command()
@_FOLDERS
def jobs(*, folders: Sequence[Path]) -> None:
    """List the unfinished jobs in each FOLDER and below; without one, in this folder."""
    from flashvsr_client.jobfolder import jobs_below
    from flashvsr_client.journal import load

    found = [folder for root in folders or [Path()] for folder in jobs_below(root)]
    for folder in found:
        try:
            journal = load(folder)
        except ClientError as error:
            click.echo(f"{folder}: {error}")
            continue
        done, segments = len(journal.done), len(journal.segments)
        click.echo(f"{folder}: {journal.source} -> {journal.target}")
        click.echo(f"  {done} of {segments} segments, {journal.frames_done} of {journal.frames} frames are finished")
        click.echo(f"  resume: {shlex.join(journal.command)}")
    if not found:
        click.echo("no unfinished jobs", err=True)


@click.command()
@click.argument("job", metavar="JOB", type=click.Path(path_type=Path))
@click.option("-o", "--output", "target", metavar="OUT", type=click.Path(path_type=Path), required=True)
@click.option("-y", "--overwrite", is_flag=True, help="Overwrite an existing OUT.")
def recover(*, job: Path, target: Path, overwrite: bool) -> None:
    """Write what is finished of the job in the folder JOB into OUT, and say which frames are missing."""
    from flashvsr_client.recover import recover as recovered

    click.echo(str(recovered(job, target, overwrite=overwrite)))


@click.command()
@click.argument("folders", metavar="JOB...", nargs=-1, required=True, type=click.Path(path_type=Path))
def clean(*, folders: Sequence[Path]) -> None:
    """Delete unfinished jobs: each JOB is the folder of one, or a folder with some in it or below."""
    from flashvsr_client.jobfolder import jobs_below, locked, remove

    for root in folders:
        for folder in jobs_below(root):
            with locked(folder, new=False):
                size = remove(folder)
            click.echo(f"{folder}: deleted, {size / 1e6:.1f} MB")
