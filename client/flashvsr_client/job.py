"""A film in segments: planned once, made by a crew, kept as it is made, joined at the end.

Whatever ends the job before, the process itself included, a resumed one goes on with the finished segments, and the
output is the one that an uninterrupted job would have given.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Lock

from flashvsr_client import jobfolder, seams
from flashvsr_client.config import JobOptions
from flashvsr_client.crew import Crew, Made
from flashvsr_client.errors import ClientError, JobInterruptedError
from flashvsr_client.executors import Worker
from flashvsr_client.job_start import Film, opened, standing
from flashvsr_client.journal import Identity, Journal
from flashvsr_client.media.parts import Part, join
from flashvsr_client.media.provenance import provenance
from flashvsr_client.progress import Progress
from flashvsr_client.report import Report
from flashvsr_client.segment_run import Stopped, Work


def run_job(
    work: Work,
    target: Path,
    film: Film | None,
    who: Identity,
    workers: Sequence[Worker],
    options: JobOptions,
    stop: Event,
    progress: Progress,
    spare: Callable[[], None] = lambda: None,
) -> Report:
    """Make ``target``, or go on with it; ``film`` is for a new job; a job that is resumed has its own.

    ``spare`` is called, from any thread, as soon as the job leaves an engine without work, once or more often.

    Raises any :class:`ClientError`, with the command that goes on where something is finished, and
    :class:`JobInterruptedError` once ``stop`` is set.
    """
    began = time.monotonic()
    folder = jobfolder.folder_of(target, options.folder)
    with jobfolder.locked(folder):
        journal = opened(folder, work, target, film, who, options)
        job = _Job(journal, work, progress)
        try:
            job.make(workers, options, stop, spare)
            frames = join(target, work.info, job.parts(), work.encoding, job.tag())
        except Stopped as error:
            raise JobInterruptedError(f"interrupted; {job.advice()}") from error
        except ClientError as error:
            if not job.journal.done:
                raise
            raise _advised(error, job.advice()) from error
        finally:
            if not job.journal.done:
                jobfolder.remove(folder)
        jobfolder.remove(folder)
    seconds = time.monotonic() - began
    return job.report(target, frames, seconds)


class _Job:
    """One run of a job: the journal as it grows."""

    def __init__(self, journal: Journal, work: Work, progress: Progress) -> None:
        self.journal = journal
        self._work = work
        self._progress = progress
        self._resumed = journal.frames_done
        self._told: dict[int, int] = {}
        self._telling = Lock()
        self._first_frame_seconds = 0.0
        self._notes: list[str] = []

    def make(self, workers: Sequence[Worker], options: JobOptions, stop: Event, spare: Callable[[], None]) -> None:
        """Make every segment and every seam that is missing; ``spare``: see :func:`run_job`."""
        pending = self.journal.pending
        self._progress.start(self.journal.frames - self._resumed)
        crew = Crew(workers, self._work, self.journal.folder, options.retry, spare)
        try:
            for made in crew.run(pending, stop, self._advance):
                self._keep(made)
        finally:
            self._notes += crew.notes
        spare()
        self._make_seams()

    def parts(self) -> list[tuple[Path, Part]]:
        """All parts in the film's order."""
        return parts_of(self.journal)

    def tag(self) -> str | None:
        """What the output says of its making."""
        work = self._work
        return provenance(self.journal.identity.model, work.scale, work.seed) if work.encoding.provenance else None

    def advice(self) -> str:
        """What is kept and how to go on."""
        if not self.journal.done:
            return "nothing of it was finished yet"
        return f"{standing(self.journal)} are kept: go on with `{shlex.join(self.journal.command)}`"

    def report(self, target: Path, frames: int, seconds: float) -> Report:
        """What the finished job has to say."""
        encoding, info = self._work.encoding, self._work.info
        return Report(
            output=target,
            frames=frames,
            width=self._work.size[0],
            height=self._work.size[1],
            seconds=seconds,
            first_frame_seconds=self._first_frame_seconds,
            model=self.journal.identity.model,
            pixel_format=self._work.made.pixel_format,
            audio_streams=len(info.audio_codecs) if encoding.audio else 0,
            segments=len(self.journal.segments),
            resumed_frames=self._resumed,
            notes=tuple(self._notes),
        )

    def _keep(self, made: Made) -> None:
        """A segment is the job's once its folder has its place and the journal names it, in this order."""
        result = made.result
        self._first_frame_seconds = self._first_frame_seconds or result.first_frame_seconds
        jobfolder.keep_attempt(self.journal.folder, made.folder, result.index)
        self._write(self.journal.with_segment(result))
        self._make_seams()

    def _make_seams(self) -> None:
        for index in seams.due(self.journal):
            self._write(self.journal.with_seam(index, seams.make(self.journal, index, self._work)))
            jobfolder.drop_edges(self.journal.folder, index)

    def _write(self, journal: Journal) -> None:
        journal.save()
        self.journal = journal

    def _advance(self, index: int, frames: int) -> None:
        """Count each frame of the film once, however often its segment is tried."""
        segment = self.journal.segments[index]
        limit = len(segment.head) + len(segment.body)
        with self._telling:
            told = self._told.get(index, 0)
            for _ in range(told, min(frames, limit)):
                self._progress.advance()
            self._told[index] = max(told, min(frames, limit))


def parts_of(journal: Journal) -> list[tuple[Path, Part]]:
    """The finished parts of a job in the film's order, with their files."""
    parts: list[tuple[Path, Part]] = []
    for segment in journal.segments:
        if (result := journal.done.get(segment.index)) is not None:
            parts.append((jobfolder.body_file(journal.folder, segment.index), result.body))
        if (seam := journal.seams.get(segment.index)) is not None:
            parts.append((jobfolder.seam_file(journal.folder, segment.index), seam))
    return parts


def _advised(error: ClientError, advice: str) -> ClientError:
    return type(error)(f"{error}; {advice}")
