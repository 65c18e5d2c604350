"""Who runs segments: one seam, behind which are streams to servers, engine processes here, and whatever comes.

A worker makes one segment at a time, wherever it does so, into a folder of this machine. The crew (crew.py) gives
segments to workers and does not know more of them than this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Event
from typing import Protocol

from flashvsr_client.endpoints import Endpoint
from flashvsr_client.errors import SessionLostError
from flashvsr_client.pool import Pool
from flashvsr_client.segment_run import SegmentResult, Work, run_segment
from flashvsr_client.segments import Segment


class FleetLostError(SessionLostError):
    """All engines of a fleet went away at once, for good: another try is of no use."""


class Worker(Protocol):
    """Makes segments, one at a time. It belongs to a fleet (fleet.py), which also ends it."""

    @property
    def name(self) -> str:
        """For people: an address, a device."""

    def engine(self, stop: Event) -> AbstractContextManager[None]:
        """Have an engine for the block, in which :meth:`run` is called: wait for one where films share them.

        Raises :class:`Stopped` soon after ``stop`` is set.
        """

    def run(
        self, work: Work, segment: Segment, folder: Path, stop: Event, advance: Callable[[int], None]
    ) -> SegmentResult:
        """Make a segment into ``folder``; ``advance`` is told how many of its frames are done.

        Raises any :class:`ClientError`, of which :class:`FleetLostError` ends the job at once, and :class:`Stopped`
        soon after ``stop`` is set.
        """


class StreamWorker:
    """A :class:`Worker` that decodes and encodes in this process and has the engine of an endpoint in between."""

    def __init__(self, endpoint: Endpoint, number: int) -> None:
        self.name = f"{endpoint.name} ({number})" if number else endpoint.name
        self._endpoint = endpoint

    def engine(self, stop: Event) -> AbstractContextManager[None]:
        """See :class:`Worker`. Which engine it gets, the endpoint says."""
        return nullcontext()

    def run(
        self, work: Work, segment: Segment, folder: Path, stop: Event, advance: Callable[[int], None]
    ) -> SegmentResult:
        """See :class:`Worker`."""
        return run_segment(self._endpoint.open, work, segment, folder, stop, advance)


class SharedWorker:
    """A :class:`Worker` on whichever of several is free, the last one if it can be, while other films use them too."""

    def __init__(self, pool: Pool[Worker], film: int) -> None:
        """``film``: see :meth:`Pool.lease`."""
        self._pool = pool
        self._film = film
        self._worker = pool.engines[0]

    @property
    def name(self) -> str:
        """Of the one that it is on."""
        return self._worker.name

    @contextmanager
    def engine(self, stop: Event) -> Iterator[None]:
        """See :class:`Worker`."""
        with self._pool.lease(self._worker, self._film, stop) as worker:
            self._worker = worker
            yield

    def run(
        self, work: Work, segment: Segment, folder: Path, stop: Event, advance: Callable[[int], None]
    ) -> SegmentResult:
        """See :class:`Worker`."""
        return self._worker.run(work, segment, folder, stop, advance)
