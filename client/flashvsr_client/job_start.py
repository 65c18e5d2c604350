"""How a job begins: what job it is, whether it was begun before, and its journal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flashvsr_client import jobfolder
from flashvsr_client.config import JobOptions, Segmentation
from flashvsr_client.errors import OutputError, UsageError
from flashvsr_client.journal import NAME, Identity, Journal, load
from flashvsr_client.segment_run import Work
from flashvsr_client.segments import Segment


@dataclass(frozen=True, slots=True)
class Film:
    """A film and how it is cut."""

    frames: int
    segments: tuple[Segment, ...]


def identity(work: Work, segmentation: Segmentation, engine: Mapping[str, Any]) -> Identity:
    """Say what job this is; ``engine``: options of an engine on this machine. Reads the whole input."""
    size, sha256 = jobfolder.content(work.info.pictures or (work.info.path,))
    encoding = {name: value for name, value in asdict(work.encoding).items() if name != "overwrite"}
    cut = {f"segment {name}": value for name, value in asdict(segmentation).items()}
    reading = {f"reading {name}": value for name, value in asdict(work.info.reading).items()}
    options = {"scale": work.scale, "seed": work.seed, **cut, **encoding, **reading, **engine}
    return Identity(size, sha256, work.model, json.loads(json.dumps(options, default=str)))


def resumable(target: Path, options: JobOptions) -> Journal | None:
    """Give the unfinished job that makes ``target``, if there is one.

    Raises :class:`OutputError` where there is one and it is not to be resumed.
    """
    folder = jobfolder.folder_of(target, options.folder)
    if not (folder / NAME).exists():
        return None
    journal = load(folder)
    if not options.resume:
        raise OutputError(
            f"{target} has an unfinished job, {standing(journal)}: go on with --resume, or drop it with "
            f"`flashvsr clean {shlex.quote(str(folder))}`"
        )
    return journal


def opened(folder: Path, work: Work, target: Path, film: Film | None, who: Identity, options: JobOptions) -> Journal:
    """Give the journal in ``folder``, or begin one for ``film``; what its files do not hold is pending again.

    Raises :class:`UsageError` where the folder has another job, :class:`OutputError` where there is neither.
    """
    if (folder / NAME).exists():
        journal = load(folder)
        if differences := journal.identity.differences(who):
            raise UsageError(
                f"the unfinished job in {folder} is another one: it has {'; '.join(differences)}; run it with what it "
                "was begun with, or delete its folder"
            )
        return jobfolder.verified(journal)
    if film is None:
        raise OutputError(f"the job in {folder} was finished or dropped just now: run the command again")
    command = (*(options.command or _default_command(work, target)), *(() if options.resume else ("--resume",)))
    journal = Journal(folder, work.info.path.resolve(), target.resolve(), who, film.frames, film.segments, command)
    journal = jobfolder.verified(journal)
    journal.save()
    return journal


def standing(journal: Journal) -> str:
    """Say how far it is."""
    return f"{len(journal.done)} of {len(journal.segments)} segments"


def _default_command(work: Work, target: Path) -> tuple[str, ...]:
    return ("flashvsr", "upscale", str(work.info.path), "-o", str(target), "--scale", str(work.scale))
