"""The engines of a Ray cluster: started for the first film, warm for the next, gone with the client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Final

from flashvsr_client.cluster import versions
from flashvsr_client.cluster.connecting import connect
from flashvsr_client.cluster.connection import Actor, Call, Connection, this_node
from flashvsr_client.cluster.delivery import Deliveries, unseen
from flashvsr_client.cluster.engine_actor import EngineActor
from flashvsr_client.cluster.options import ClusterOptions
from flashvsr_client.cluster.placement import Placement, place, said
from flashvsr_client.cluster.worker import ClusterWorker
from flashvsr_client.config import LocalOptions
from flashvsr_client.errors import ClientError, ServerBusyError, SessionLostError, UsageError
from flashvsr_client.executors import FleetLostError, Worker
from flashvsr_client.fleet import engine_options, one_model
from flashvsr_client.local_workers import LocalEngine, MakeTransport
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.pool import Pool
from flashvsr_client.transport.base import Stream, StreamSpec

_LOOK_SECONDS: Final = 0.1
_GRACE: Final = 5.0
"""Seconds that the others have once the first engine is loaded; who comes later takes part when it comes."""


class RayFleet:
    """A :class:`Fleet`. Nothing is connected before it is needed; :meth:`close` ends all that was started."""

    streams = False
    shared = True

    def __init__(
        self,
        options: LocalOptions,
        cluster: ClusterOptions,
        *,
        address_of: Callable[[Path], str | None] = lambda _: None,
        connecting: Callable[[str], Connection] = connect,
        engine: Callable[[LocalOptions], MakeTransport] = LocalEngine,
    ) -> None:
        """``address_of`` gives the address that a file here was fetched from, which nodes may do too."""
        self._options = options
        self._cluster = cluster
        self._address_of = address_of
        self._connecting = connecting
        self._engine = engine
        self._starting = Lock()
        self._connection: Connection | None = None
        self._pool: Pool[Actor] | None = None
        self._deliveries: Deliveries | None = None
        self._films = count()
        self.engine_options = engine_options(options)

    @contextmanager
    def hired(self, info: VideoInfo) -> Iterator[tuple[Sequence[Worker], str]]:
        """See :class:`Fleet`. Also :class:`ServerBusyError` where the cluster has no room for any engine."""
        with self._starting:
            connection, pool, deliveries = self._started()
            model = self._loaded(connection, pool)
            if self._cluster.files == "shared":
                _check_shared(connection, pool, deliveries, info)
            film = next(self._films)
        wait = self._cluster.wait
        with deliveries.needing(info):
            yield [ClusterWorker(film, connection, pool, deliveries, wait) for _ in pool.engines], model

    def open(self, spec: StreamSpec) -> Stream:
        """Never called: every film is a job here."""
        raise UsageError(f"a stream of {spec.width}x{spec.height} frames: a cluster takes whole files")

    def close(self) -> None:
        """Let every engine go."""
        with self._starting:
            if self._connection is not None:
                self._connection.close()
            self._connection = self._pool = self._deliveries = None

    def _started(self) -> tuple[Connection, Pool[Actor], Deliveries]:
        if self._connection is not None and self._connection.lost is not None:
            self._connection.close()  # the next film finds another one, or says what is amiss
            self._connection = self._pool = self._deliveries = None
        if self._connection is None:
            self._connection = self._connecting(self._cluster.address)
        connection = self._connection
        if self._pool is None or self._deliveries is None:
            nodes = connection.nodes()
            placement = place(nodes, self._options.device, self._cluster)
            fit = [node for node in nodes if node.cpus >= placement.cpus and node.gpus >= placement.gpus]
            versions.check(connection, fit)
            self._pool = Pool([self._spawned(connection, placement, n) for n in range(1, 1 + placement.count)])
            self._deliveries = Deliveries(connection, self._cluster, self._address_of)
        return connection, self._pool, self._deliveries

    def _spawned(self, connection: Connection, placement: Placement, number: int) -> Actor:
        make = self._engine(replace(self._options, device=placement.device))
        return connection.spawn(
            f"engine {number}",
            EngineActor,
            make,
            this_node,
            self._cluster.scratch,
            cpus=placement.cpus,
            gpus=placement.gpus,
        )

    def _loaded(self, connection: Connection, pool: Pool[Actor]) -> str:
        """Wait for the first engine, and a little for the others; leave out those that cannot load."""
        calls = {engine: engine.call("model") for engine in pool.engines}
        models: dict[str, str] = {}
        failed: ClientError | None = None
        until = time.monotonic() + self._cluster.wait
        while calls and time.monotonic() < until:
            for engine, call in [(engine, call) for engine, call in calls.items() if call.ready(_LOOK_SECONDS)]:
                del calls[engine]
                try:
                    models[_model(call)] = engine.name
                    until = min(until, time.monotonic() + _GRACE)
                except FleetLostError:
                    raise
                except SessionLostError as error:
                    failed, calls[engine] = error, engine.call("model")  # Ray starts it again where there is room
                except ClientError as error:
                    failed = type(error)(f"{engine.name} on the cluster: {error}")
                    pool.leave_out(engine)
                    engine.end(for_good=True)
        if models:
            return one_model(models)
        if failed is not None:
            for engine in pool.engines:
                engine.end(for_good=True)
            self._pool = None
            raise failed
        raise ServerBusyError(self._no_room(connection))

    def _no_room(self, connection: Connection) -> str:
        nodes = connection.nodes()
        asked = place(nodes, self._options.device, self._cluster)
        return (
            f"the Ray cluster at {self._cluster.address} had no room for an engine within {self._cluster.wait:.0f} s: "
            f"each asks for {asked}, and it has {said(nodes)}; wait for its other jobs, give --ray-cpus less, or "
            "--ray-wait more"
        )


def _model(call: Call) -> str:
    return str(call.result())


def _check_shared(connection: Connection, pool: Pool[Actor], deliveries: Deliveries, info: VideoInfo) -> None:
    """Raise :class:`UsageError` before any work where a node with an engine does not see the film."""
    calls = [engine.call("node") for engine in pool.engines]
    there = {call.result() for call in calls if call.ready(_LOOK_SECONDS)}
    for node in connection.nodes():
        if node.id in there and not deliveries.sees(node, info):
            raise UsageError(unseen(node, info.path))
