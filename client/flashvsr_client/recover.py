"""A playable file from what is finished of a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from flashvsr_client import jobfolder
from flashvsr_client.config import Encoding, Reading
from flashvsr_client.errors import InputError
from flashvsr_client.job import parts_of
from flashvsr_client.journal import load
from flashvsr_client.media.output import check_output
from flashvsr_client.media.parts import join
from flashvsr_client.media.probe import probe


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was written."""

    output: Path
    frames: int
    missing: tuple[range, ...]
    """Frames of the film that are not in it."""

    def __str__(self) -> str:
        gaps = ", ".join(f"{gap.start}" if len(gap) == 1 else f"{gap.start} to {gap.stop - 1}" for gap in self.missing)
        lost = f"missing are frames {gaps}, counted from 0" if gaps else "none are missing"
        return f"{self.output}: {self.frames} frames; {lost}"


def recover(folder: Path, target: Path, *, overwrite: bool = False) -> Recovered:
    """Write the finished segments of the job in ``folder`` to ``target``; the job stays as it is.

    Every frame has its place in time: where frames are missing the one before stands. Sound and the rest come from the
    job's input, where that is still what it was. Raises :class:`InputError` where nothing is finished.
    """
    with jobfolder.locked(folder, new=False):
        journal = jobfolder.verified(load(folder))
        parts = parts_of(journal)
        if not parts:
            raise InputError(f"{folder}: no segment of that job is finished: resume it, or begin again")
        options = journal.identity.options
        info = probe(journal.source, _reading(options))
        check_output(target, journal.source, overwrite=overwrite)
        audio, subtitles, attachments = (
            bool(options.get(name, True)) for name in ("audio", "subtitles", "attachments")
        )
        encoding = Encoding(audio=audio, subtitles=subtitles, attachments=attachments)
        frames = join(target, info, parts, encoding, None)
    there: list[range] = []
    for segment in journal.segments:
        if segment.index in journal.done:
            there.append(segment.body)
        if segment.index in journal.seams:
            there.append(segment.tail)
    return Recovered(target, frames, tuple(_gaps(there, journal.frames)))


def _reading(options: Mapping[str, Any]) -> Reading:
    """How the job reads its input, as its journal has it."""
    given = {name.removeprefix("reading "): value for name, value in options.items() if name.startswith("reading ")}
    for name in ("fps", "start", "duration"):
        given[name] = None if given.get(name) is None else Fraction(given[name])
    size = given.get("size")
    return Reading(**{**given, "start": given["start"] or Fraction(0), "size": tuple(size) if size else None})


def _gaps(there: list[range], frames: int) -> list[range]:
    gaps, place = [], 0
    for part in [*there, range(frames, frames)]:
        if part.start > place:
            gaps.append(range(place, part.start))
        place = part.stop
    return gaps
