"""Who runs segments: one seam, behind which are streams to servers, engine processes here, and whatever comes.

A worker makes one segment at a time, wherever it does so, into a folder of this machine. The crew (crew.py) gives
segments to workers and does not know more of them than this.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Protocol

from flashvsr_client.endpoints import Endpoint
from flashvsr_client.segment_run import SegmentResult, Work, run_segment
from flashvsr_client.segments import Segment


class Worker(Protocol):
    """Makes segments, one at a time. It belongs to a fleet (fleet.py), which also ends it."""

    @property
    def name(self) -> str:
        """For people: an address, a device."""

    def run(
        self, work: Work, segment: Segment, folder: Path, stop: Event, advance: Callable[[int], None]
    ) -> SegmentResult:
        """Make a segment into ``folder``; ``advance`` is told how many of its frames are done.

        Raises any :class:`ClientError`, and :class:`Stopped` soon after ``stop`` is set.
        """


class StreamWorker:
    """A :class:`Worker` that decodes and encodes in this process and has the engine of an endpoint in between."""

    def __init__(self, endpoint: Endpoint, number: int) -> None:
        self.name = f"{endpoint.name} ({number})" if number else endpoint.name
        self._endpoint = endpoint

    def run(
        self, work: Work, segment: Segment, folder: Path, stop: Event, advance: Callable[[int], None]
    ) -> SegmentResult:
        """See :class:`Worker`."""
        return run_segment(self._endpoint.open, work, segment, folder, stop, advance)
