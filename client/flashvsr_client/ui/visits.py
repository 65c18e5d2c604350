"""One for each open page: its folder, its video, its job, its result."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import Final

from flashvsr_client.config import Reading
from flashvsr_client.errors import ClientError, UsageError
from flashvsr_client.media.probe import VideoInfo, probe
from flashvsr_client.ui.comparison import Comparison
from flashvsr_client.ui.runner import Job, Runner, State, Wish
from flashvsr_client.ui.store import Store

_NO_VIDEO: Final = "no video yet: drop one on the page, or choose a file"
_NOTHING: Final = "nothing to compare: no job is finished, or its files were removed since"


@dataclass(slots=True)
class Visit:
    """What belongs to one page. Only its own page's requests change it."""

    folder: Path
    seen: float
    video: Path | None = None
    refused: ClientError | None = None
    """Why the last upload is no video of ours."""
    job: Job | None = None
    comparison: Comparison | None = None
    lock: Lock = field(default_factory=Lock)

    @property
    def busy(self) -> bool:
        """Whether its job waits or runs."""
        return self.job is not None and not self.job.ended.is_set()


class Visits:
    """All of them, by the browser's name for its open page. Safe to use from several threads."""

    def __init__(
        self, store: Store, runner: Runner, keep_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``keep_seconds``: from a visitor's last request until the files of the visit are removed."""
        self._store = store
        self._runner = runner
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._visits: dict[str, Visit] = {}
        self._lock = Lock()

    def busy(self, page: str) -> bool:
        """Whether the page's job waits or runs."""
        visit = self._visit(page)
        return visit is not None and visit.busy

    def emptied(self, page: str) -> bool:
        """Whether the page is there and shows no result, since another video came or a job began."""
        visit = self._visit(page)
        return visit is not None and (visit.job is None or visit.job.report is None)

    def told(self, error: ClientError) -> str:
        """Give the error's sentence, with the names that visitors know."""
        return re.sub(rf"{re.escape(str(self._store.root))}/visits/[^/]+/(in|out)/", "", str(error))

    def take(self, page: str, upload: Path) -> VideoInfo:
        """Make an upload the visit's video, in place of another and its result.

        Raises :class:`ClientError` for a file that is none, and while a job runs.
        """
        with self._lock:
            visit = self._visits.get(page) or Visit(self._store.new_folder(), 0.0)
            self._visits[page] = visit
            visit.seen = self._clock()
        with visit.lock:
            self._forget(visit)
            try:
                video = self._store.claim(upload, visit.folder)
                info = probe(video, Reading(hdr="keep"))  # what to do with HDR is said when the job begins
            except ClientError as error:
                visit.refused = error
                self._store.release(visit.folder)
                raise
            visit.video = video
            return info

    def start(self, page: str, wish: Wish) -> Job:
        """Put the visit's video in line. Raises :class:`ClientError`: without a video, and while a job runs."""
        visit = self._visit(page)
        if visit is None:
            raise UsageError(_NO_VIDEO)
        with visit.lock:
            if visit.video is None:
                raise visit.refused or UsageError(_NO_VIDEO)
            self._refuse_while_busy(visit)
            out = visit.folder / "out"
            if visit.job is None or visit.job.wish != wish or visit.job.state is State.DONE:
                shutil.rmtree(out, ignore_errors=True)  # else what is finished of it is gone on with
            out.mkdir(exist_ok=True)
            visit.comparison = None
            target = out / f"{visit.video.stem}_{wish.scale}x.{wish.container}"
            visit.job = self._runner.start(visit.video, target, wish)
            return visit.job

    def compare(self, page: str) -> Comparison:
        """Give the comparison of the visit's finished job. Raises :class:`ClientError`."""
        visit = self._visit(page)
        if visit is None:
            raise UsageError(_NOTHING)
        with visit.lock:
            job = visit.job
            if job is None or job.report is None:
                raise UsageError(_NOTHING)
            if visit.comparison is None:
                folder = self._store.new_folder(visit.folder / "out")
                visit.comparison = Comparison(job.source, job.target, job.report.frames, folder, job.wish.reading)
            return visit.comparison

    def cancel(self, page: str) -> None:
        """Ask the visit's job to end."""
        visit = self._visit(page)
        if visit is not None and visit.job is not None:
            visit.job.cancel()

    def leave(self, page: str) -> None:
        """End the visit: its job is cancelled, and its files go as soon as nothing of the job runs."""
        with self._lock:
            visit = self._visits.pop(page, None)
        if visit is not None:
            self._end(visit)

    def sweep(self) -> None:
        """End the visits from which nothing was heard for too long, but for those that wait for a job."""
        old = self._clock() - self._keep_seconds
        with self._lock:
            gone = [page for page, visit in self._visits.items() if visit.seen < old and not visit.busy]
        for page in gone:
            self.leave(page)
        self._store.sweep()

    def close(self, seconds: float) -> bool:
        """End all visits; wait at most so long for their jobs, and say whether all have ended."""
        with self._lock:
            visits, self._visits = list(self._visits.values()), {}
        jobs = [visit.job for visit in visits if visit.job is not None]
        for job in jobs:
            job.cancel()
        end = time.monotonic() + seconds
        return all(job.ended.wait(max(0.0, end - time.monotonic())) for job in jobs)

    def _visit(self, page: str) -> Visit | None:
        """Give the page's visit, which was seen just now; None: it has not begun, or has ended."""
        with self._lock:
            visit = self._visits.get(page)
            if visit is not None:
                visit.seen = self._clock()
            return visit

    def _end(self, visit: Visit) -> None:
        job = visit.job
        if job is None or job.ended.is_set():
            self._store.drop(visit.folder)
            return
        job.cancel()

        def drop() -> None:
            job.ended.wait()
            self._store.drop(visit.folder)

        Thread(target=drop, name="flashvsr-ui-drop", daemon=True).start()

    def _forget(self, visit: Visit) -> None:
        self._refuse_while_busy(visit)
        self._store.release(visit.folder)
        shutil.rmtree(visit.folder / "out", ignore_errors=True)
        visit.video = visit.refused = visit.job = visit.comparison = None

    def _refuse_while_busy(self, visit: Visit) -> None:
        if visit.busy:
            raise UsageError("the job of this page is not at its end: cancel it first, or wait for it")
