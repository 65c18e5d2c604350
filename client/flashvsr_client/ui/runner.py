"""Jobs: each in a thread of its own, in line for an engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from threading import Event, Thread
from typing import Final

from flashvsr_client.config import Encoding, JobOptions, LocalOptions, Reading
from flashvsr_client.errors import ClientError, JobInterruptedError, ServerBusyError
from flashvsr_client.interrupt import Interrupt
from flashvsr_client.report import Report
from flashvsr_client.ui.engines import Engines
from flashvsr_client.ui.line import Line
from flashvsr_client.ui.meter import Meter

_log = logging.getLogger(__name__)
_ROOM_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What a visitor asked for."""

    scale: int = 4
    seed: int | None = None
    container: str = "mp4"
    encoding: Encoding = field(default_factory=Encoding)
    reading: Reading = field(default_factory=Reading)
    engine: LocalOptions | None = None
    """None: as the engine is, or as the server decides."""


class State(Enum):
    """Where a job is."""

    WAITING = "waiting"
    OPENING = "opening"
    NO_ROOM = "no room"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Job:
    """One video on its way. Its thread writes, everybody may read."""

    def __init__(self, source: Path, target: Path, wish: Wish, place: Callable[[], int]) -> None:
        self.source = source
        self.target = target
        self.wish = wish
        self.meter = Meter()
        self.ended = Event()
        """Set when nothing of it runs any more."""
        self.report: Report | None = None
        self.error: ClientError | None = None
        """Why it ended; while it runs: why the server does not take it yet."""
        self._interrupt = Interrupt()
        self._place = place

    @property
    def place(self) -> int:
        """In the queue, from 1; 0: it is its turn, or was."""
        return self._place()

    @property
    def interrupt(self) -> Interrupt:
        """How it is asked to end."""
        return self._interrupt

    @property
    def state(self) -> State:
        """Where it is now."""
        if not self.ended.is_set():
            return self._running_state()
        if self.error is None:
            return State.DONE
        return State.CANCELLED if isinstance(self.error, JobInterruptedError) else State.FAILED

    def cancel(self) -> None:
        """Ask it to end: its session is closed at once, and :attr:`ended` is set soon after."""
        self._interrupt.asked.set()

    def _running_state(self) -> State:
        if self.place:
            return State.WAITING
        if self.meter.standing() is not None:
            return State.RUNNING
        return State.OPENING if self.error is None else State.NO_ROOM


class Runner:
    """Runs jobs on the engines, ``at_once`` of them, the others in the order of their coming."""

    def __init__(self, engines: Engines, at_once: int = 1, room_seconds: float = _ROOM_SECONDS) -> None:
        """``room_seconds``: until a server that was full is asked again."""
        self._engines = engines
        self._line = Line(at_once)
        self._room_seconds = room_seconds

    def start(self, source: Path, target: Path, wish: Wish) -> Job:
        """Put a job in line. Its errors are kept in it."""
        ticket = self._line.join()
        job = Job(source, target, wish, lambda: self._line.place(ticket))
        Thread(target=self._run, args=(job, ticket), name="flashvsr-ui-job", daemon=True).start()
        return job

    def _run(self, job: Job, ticket: object) -> None:
        """The life of a job's thread."""
        try:
            with self._line.turn(ticket, job.interrupt.asked) as came:
                if not came:
                    raise JobInterruptedError("interrupted before its turn; no output was written")
                job.report = self._upscaled(job)
        except ClientError as error:
            job.error = error
        except Exception as error:  # noqa: BLE001 - the thread's boundary: the visitor sees that it ended
            _log.exception("a job failed in a way that is not foreseen")
            job.error = ClientError(f"the job failed ({type(error).__name__}): what runs `flashvsr ui` has printed why")
        finally:
            job.ended.set()

    def _upscaled(self, job: Job) -> Report:
        """Run it, as soon as the server has room for it."""
        while True:
            try:
                return self._once(job)
            except ServerBusyError as error:
                job.error = error
                job.meter.reset()
                if job.interrupt.asked.wait(self._room_seconds):
                    raise JobInterruptedError(
                        "interrupted while the server had no room; no output was written"
                    ) from error

    def _once(self, job: Job) -> Report:
        wish = job.wish
        report = self._engines.client(wish.engine).upscale_file(
            job.source,
            job.target,
            wish.scale,
            seed=wish.seed,
            encoding=wish.encoding,
            job=JobOptions(resume=True, command=("Start",)),  # so that an error's advice names the page's button
            progress=job.meter,
            interrupt=job.interrupt,
            reading=wish.reading,
        )
        job.error = None
        return report
