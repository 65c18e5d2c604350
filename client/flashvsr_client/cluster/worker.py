"""One segment on a node of the cluster, into the job's folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Final, cast
from uuid import uuid4

from flashvsr_client.cluster.connection import Actor, Call, Connection
from flashvsr_client.cluster.delivery import PIECE, Deliveries
from flashvsr_client.cluster.engine_actor import Finished
from flashvsr_client.cluster.placement import Node
from flashvsr_client.edges import disk_errors
from flashvsr_client.errors import (
    EngineUnavailableError,
    OutputError,
    ServerBusyError,
    ServerError,
    SessionLostError,
)
from flashvsr_client.executors import FleetLostError
from flashvsr_client.pool import Pool
from flashvsr_client.segment_run import SegmentResult, Work
from flashvsr_client.segments import Segment

_LOOK_SECONDS: Final = 0.25
_ANSWER_SECONDS: Final = 60.0
_AHEAD: Final = 2


class ClusterWorker:
    """A :class:`Worker` on whichever engine of the pool is free, the last one if it can be.

    What goes wrong on a node is told with its name, and is no error of the job: another try goes elsewhere.
    """

    def __init__(
        self, film: int, connection: Connection, pool: Pool[Actor], deliveries: Deliveries, wait: float
    ) -> None:
        """``film``: see :meth:`Pool.lease`."""
        self.name = "an engine of the cluster"
        self._film = film
        self._connection = connection
        self._pool = pool
        self._deliveries = deliveries
        self._wait = wait
        self._leased: Actor | None = None

    @contextmanager
    def engine(self, stop: Event) -> Iterator[None]:
        """See :class:`Worker`."""
        with self._pool.lease(self._leased, self._film, stop) as self._leased:
            yield

    def run(
        self, work: Work, segment: Segment, folder: Path, stop: Event, advance: Callable[[int], None]
    ) -> SegmentResult:
        """See :class:`Worker`."""
        engine = self._leased
        assert engine is not None, "run in the block of engine"
        node = self._node(engine, stop)
        self.name = f"{engine.name} on node {node.name}"
        try:
            there = self._deliveries.to(node, work, stop)
            shared = self._deliveries.shares(node, folder)
        except FleetLostError:
            raise
        except SessionLostError:
            self._deliveries.forget(node)
            raise
        order = uuid4().hex  # engines serve the workers of several films, and a stop may come late
        call = engine.call("run", order, there, segment, folder.resolve() if shared else None)
        try:
            finished = self._watched(engine, call, order, stop, advance)
        except ServerError:
            engine.end(for_good=False)  # whatever it was, the next segment finds a new engine
            raise
        except (OutputError, EngineUnavailableError) as error:
            if shared and isinstance(error, OutputError):
                raise  # the disk is the job's own
            raise ServerError(f"node {node.name}: {error}") from error
        for name, size in finished.files:
            _brought(engine, name, size, folder / name)
        return finished.result

    def _node(self, engine: Actor, stop: Event) -> Node:
        """Wait until the engine is somewhere, and say where. Raises :class:`ServerBusyError`, :class:`Stopped`."""
        call = engine.call("node")
        for _ in range(max(1, int(self._wait / _LOOK_SECONDS))):
            if stop.is_set() or call.ready(_LOOK_SECONDS):
                break
        else:
            raise ServerBusyError(f"the cluster has had no room for {engine.name} for {self._wait:.0f} s")
        found = call.awaited(stop)
        return next((node for node in self._connection.nodes() if node.id == found), Node(found, found[:8], 0, 0))

    def _watched(self, engine: Actor, call: Call, order: str, stop: Event, advance: Callable[[int], None]) -> Finished:
        """Tell how far it is, and pass a stop on, until it ends."""
        told, stopping = 0, False
        while not call.ready(_LOOK_SECONDS):
            if stop.is_set() and not stopping:
                engine.call("stop", order)
                stopping = True
            frames = engine.call("frames").result(_ANSWER_SECONDS)
            if frames > told:
                told = frames
                advance(frames)
        finished = cast("Finished", call.result())
        result = finished.result
        advance(len(result.head) + result.body.frames + len(result.tail))
        return finished


def _brought(engine: Actor, name: str, size: int, place: Path) -> None:
    """Copy a file of the last segment from its node. Raises :class:`OutputError`, :class:`SessionLostError`."""
    first = range(0, min(size, PIECE * _AHEAD), PIECE)
    calls = [(offset, engine.call("read", name, offset, PIECE)) for offset in first]
    with disk_errors(place), place.open("wb") as file:
        while calls:
            offset, call = calls.pop(0)
            file.write(call.result(_ANSWER_SECONDS))
            if (later := offset + PIECE * _AHEAD) < size:
                calls.append((later, engine.call("read", name, later, PIECE)))
        file.flush()
        os.fsync(file.fileno())
    if place.stat().st_size != size:
        raise SessionLostError(f"{engine.name} gave {place.stat().st_size} of {size} bytes of {name}")
