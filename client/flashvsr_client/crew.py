"""Several workers at one job: a thread each, one queue of segments, and the first result of each segment.

A worker that fails gives its segment back, waits a little longer each time, and leaves after several failures in a
row; a worker that is slow loses its segment to one that has nothing else to do (dispatch.py). Which worker made a
segment does not change its frames.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Condition, Event
from typing import Final

from flashvsr_client import jobfolder
from flashvsr_client.config import RetryPolicy
from flashvsr_client.dispatch import Running, all_at_work, choose
from flashvsr_client.errors import ClientError, ServerBusyError, ServerError, ServerUnreachableError, SessionLostError
from flashvsr_client.executors import FleetLostError, Worker
from flashvsr_client.segment_run import SegmentResult, Stopped, Work
from flashvsr_client.segments import Segment

_LOOK_AGAIN: Final = 0.5
"""Seconds after which a worker without work looks whether another one has become slow."""
_PASSING: Final = (ServerBusyError, ServerError, ServerUnreachableError, SessionLostError)
"""Errors of the place and not of the job: another try, there or elsewhere, may do better."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished segment, in the folder of the attempt that made it, which is the taker's to move."""

    result: SegmentResult
    folder: Path


class Crew:
    """See the module's docstring. Used once, by one thread: ``for made in crew.run(...)``."""

    def __init__(
        self, workers: Sequence[Worker], work: Work, folder: Path, retry: RetryPolicy, spare: Callable[[], None]
    ) -> None:
        """``folder``: of the job. ``spare`` is called, from any thread, when a worker finds that it is not needed."""
        self._workers = workers
        self._work = work
        self._folder = folder
        self._retry = retry
        self._spare = spare
        self._changed = Condition()
        self._waiting: deque[Segment] = deque()
        self._running: dict[int, tuple[Running, Event]] = {}
        self._made: deque[Made] = deque()
        self._finished: set[int] = set()
        self._failures: Counter[int] = Counter()
        self._error: BaseException | None = None
        self._leaving = False
        self._asked = Event()
        self._at_work = 0
        self._attempts = count()
        self.notes: list[str] = []
        """What went wrong and was made good, a line each."""

    def run(self, segments: Sequence[Segment], stop: Event, advance: Callable[[int, int], None]) -> Iterator[Made]:
        """Give the segments as they are finished, in any order.

        ``advance`` is told a segment's number and how many of its frames are done, from any thread. Raises the error
        of a segment that cannot be made, and :class:`Stopped` at the end of the running chunks once ``stop`` is set.
        """
        self._waiting.extend(segments)
        self._asked = stop
        self._at_work = len(self._workers)
        with ThreadPoolExecutor(len(self._workers), "flashvsr-worker") as pool:
            try:
                for number in range(len(self._workers)):
                    pool.submit(self._serve, number, advance)
                for _ in segments:
                    yield self._next(stop)
            finally:
                self._leave()

    def _next(self, stop: Event) -> Made:
        with self._changed:
            while not self._made:
                if self._error is not None:
                    raise self._error
                if stop.is_set():
                    if not self._running:
                        raise Stopped
                    self._stop_running()
                self._changed.wait(_LOOK_AGAIN)  # a signal handler sets `stop` and may take no lock
            return self._made.popleft()

    def _leave(self) -> None:
        with self._changed:
            self._leaving = True
            self._stop_running()
            self._changed.notify_all()

    def _stop_running(self) -> None:
        for _, event in self._running.values():
            event.set()

    def _serve(self, number: int, advance: Callable[[int, int], None]) -> None:
        """The life of a worker's thread."""
        failures, pace = 0, None
        try:
            while (segment := self._take(number, pace)) is not None:
                try:
                    pace = self._attempt(number, segment, advance) or pace
                    failures = 0
                except FleetLostError:
                    raise
                except _PASSING as error:
                    failures += 1
                    if not self._failed(number, segment, error, failures):
                        return
        except Exception as error:  # noqa: BLE001 - the thread's boundary: it is raised where the results are taken
            self._end(error)

    def _take(self, number: int, pace: float | None) -> Segment | None:
        """Wait for a segment; None: the job is over."""
        with self._changed:
            while not (self._leaving or self._asked.is_set() or self._error is not None):
                running = [one for one, _ in self._running.values()]
                if all_at_work(self._waiting, running):  # a second try at one of them is worth less than another film
                    self._spare()
                segment = choose(self._waiting, running, pace, time.monotonic())
                if segment is not None:
                    if self._waiting:
                        self._waiting.popleft()
                    self._running[number] = (Running(segment, number, None), Event())
                    return segment
                self._changed.wait(_LOOK_AGAIN)
            return None

    def _attempt(self, number: int, segment: Segment, advance: Callable[[int, int], None]) -> float | None:
        """Make a segment and hand it over; give the seconds per frame, None where another worker was first."""
        running, stop = self._running[number]
        folder = jobfolder.attempt(self._folder, f"{next(self._attempts)}")

        def note(frames: int) -> None:
            running.frames = frames
            advance(segment.index, frames)
            if self._asked.is_set():  # seen here at once, and by the thread that takes the results a little later
                stop.set()

        try:
            with self._workers[number].engine(stop):
                running.since = time.monotonic()
                result = self._workers[number].run(self._work, segment, folder, stop, note)
            if self._hand_over(Made(result, folder), number):
                return result.seconds / (segment.stop - segment.first)
            return None
        except Stopped as error:
            if stop.is_set() or self._asked.is_set():
                return None
            name = self._workers[number].name
            raise SessionLostError(f"{name} gave segment {segment.index} up, though nobody asked it to") from error
        finally:
            with self._changed:
                del self._running[number]
                self._changed.notify_all()

    def _hand_over(self, made: Made, number: int) -> bool:
        index = made.result.index
        with self._changed:
            if index in self._finished:
                return False
            self._finished.add(index)
            self._made.append(made)
            others = [(who, event) for who, (one, event) in self._running.items() if one.segment.index == index]
            for who, event in others:
                event.set()
                if who != number:
                    slow, fast = self._workers[who].name, self._workers[number].name
                    self.notes.append(f"segment {index}: {slow} was slow, {fast} made it")
            self._changed.notify_all()
            return True

    def _failed(self, number: int, segment: Segment, error: ClientError, failures: int) -> bool:
        """Give the segment back and wait; False: the worker leaves. Ends the job where nobody can make the segment."""
        name, index = self._workers[number].name, segment.index
        with self._changed:
            if self._leaving or index in self._finished:
                return not self._leaving
            self._failures[index] += 1
            self.notes.append(f"segment {index}: {name} failed ({error}); it is made again")
            if index not in {one.segment.index for one, _ in self._running.values()}:
                self._waiting.appendleft(segment)
            leaves = failures >= self._retry.attempts
            self._at_work -= leaves
            if self._at_work == 0 or self._failures[index] >= self._retry.attempts * len(self._workers):
                self._error = error
            self._changed.notify_all()
            if leaves:
                return False
            self._changed.wait_for(lambda: self._leaving or self._error is not None, self._retry.delay(failures))
            return True

    def _end(self, error: BaseException) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()
