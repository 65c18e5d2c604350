"""A playable file from what is finished of a job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flashvsr_client import jobfolder
from flashvsr_client.config import Encoding
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
        info = probe(journal.source)
        check_output(target, journal.source, overwrite=overwrite)
        audio = bool(journal.identity.options.get("audio", True))
        frames = join(target, info, parts, Encoding(audio=audio))
    there: list[range] = []
    for segment in journal.segments:
        if segment.index in journal.done:
            there.append(segment.body)
        if segment.index in journal.seams:
            there.append(segment.tail)
    return Recovered(target, frames, tuple(_gaps(there, journal.frames)))


def _gaps(there: list[range], frames: int) -> list[range]:
    gaps, place = [], 0
    for part in [*there, range(frames, frames)]:
        if part.start > place:
            gaps.append(range(place, part.start))
        place = part.stop
    return gaps
