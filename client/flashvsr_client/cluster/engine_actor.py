"""On a node: an engine that stays loaded, and makes segments one at a time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from flashvsr_client.cluster.scratch import Scratch
from flashvsr_client.segment_run import SegmentResult, Work, run_segment
from flashvsr_client.segments import Segment
from flashvsr_client.transport.base import Transport


@dataclass(frozen=True, slots=True)
class Finished:
    """A segment that is made; ``files``: names and sizes of what waits to be read, none where all is in its place."""

    result: SegmentResult
    files: tuple[tuple[str, int], ...]


class EngineActor:
    """Of a cluster (connection.py); its methods are called from several threads, :meth:`run` from one at a time."""

    def __init__(self, make_transport: Callable[[], Transport], here: Callable[[], str], scratch: str | None) -> None:
        """``here`` gives the id of the node; nothing is loaded before it is asked for."""
        self._transport = make_transport()
        self._here = here
        self._root = scratch
        self._scratch: Scratch | None = None
        self._orders: dict[str, Event] = {}
        self._frames = 0

    def node(self) -> str:
        """On which node it is."""
        return self._here()

    def model(self) -> str:
        """Load the engine and name its model. Raises :class:`EngineUnavailableError`, :class:`UsageError`."""
        return self._transport.ping()[0].model

    def run(self, order: str, work: Work, segment: Segment, folder: Path | None) -> Finished:
        """Make a segment into ``folder``, or, without one, into files that :meth:`read` gives.

        ``order`` is a name of its own for this call, which :meth:`stop` may give. Raises what :func:`run_segment` does.
        """
        self._frames = 0
        place = folder or self._cleared()
        result = run_segment(self._transport.open, work, segment, place, self._order(order), self._advance)
        self._orders.pop(order, None)
        found = () if folder else tuple((path.name, path.stat().st_size) for path in sorted(place.iterdir()))
        return Finished(result, found)

    def frames(self) -> int:
        """How many frames of the running segment are done."""
        return self._frames

    def stop(self, order: str) -> None:
        """Let that order end at its running chunk."""
        self._order(order).set()

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Give at most ``size`` bytes of a file of the last segment."""
        assert self._scratch is not None, "read after run"
        with (self._scratch.path / name).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def _order(self, name: str) -> Event:
        """A stop may come before its order does."""
        return self._orders.setdefault(name, Event())

    def _advance(self, frames: int) -> None:
        self._frames = frames

    def _cleared(self) -> Path:
        """One segment's files at a time: what was there has been read, or was given up."""
        if self._scratch is None:
            self._scratch = Scratch(self._root)
        for path in self._scratch.path.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return self._scratch.path
