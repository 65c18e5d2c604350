"""All the engines that a client has: those of its servers, the one in this process, or one process for each device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from itertools import count
from threading import Lock
from typing import Any, Protocol

from flashvsr_client.config import LocalOptions
from flashvsr_client.endpoints import Endpoint, open_first, ping_all
from flashvsr_client.errors import UsageError
from flashvsr_client.executors import SharedWorker, StreamWorker, Worker
from flashvsr_client.local_workers import processes
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.pool import Pool
from flashvsr_client.transport.base import Stream, StreamSpec


class Fleet(Protocol):
    """Gives workers for jobs. Safe to use from several threads."""

    @property
    def engine_options(self) -> Mapping[str, Any]:
        """Options of the engine that the frames depend on; empty where a server chooses them."""

    @property
    def streams(self) -> bool:
        """Whether :meth:`open` gives streams, for films that are not cut."""

    @property
    def shared(self) -> bool:
        """Whether films that are made at the same time take turns at its engines, an earlier one first."""

    def hired(self, info: VideoInfo) -> AbstractContextManager[tuple[Sequence[Worker], str]]:
        """Give a worker for each engine, and the model that all of them have, for a film and the time of a block.

        Raises :class:`ServerUnreachableError` where none answers, :class:`UsageError` where the models differ,
        :class:`EngineUnavailableError`.
        """

    def open(self, spec: StreamSpec) -> Stream:
        """Open one stream, at the first endpoint that has room. Raises as :meth:`Transport.open` does."""

    def close(self) -> None:
        """End what was started for more than one film. Does nothing the second time."""


class EndpointFleet:
    """A :class:`Fleet` of engines that are reached by transports."""

    streams = True
    shared = False

    def __init__(self, endpoints: Sequence[Endpoint], engine_options: Mapping[str, Any] | None = None) -> None:
        assert endpoints
        self._endpoints = endpoints
        self.engine_options = engine_options or {}

    @contextmanager
    def hired(self, info: VideoInfo) -> Iterator[tuple[Sequence[Worker], str]]:
        """See :class:`Fleet`. An endpoint that does not answer gets one worker, for when it comes back."""
        workers: list[Worker] = []
        models: dict[str, str] = {}
        for endpoint, healths in ping_all(self._endpoints):
            models |= {health.model: endpoint.name for health in healths}
            several = len(healths) > 1
            workers += [StreamWorker(endpoint, number + several) for number in range(max(1, len(healths)))]
        yield workers, one_model(models)

    def open(self, spec: StreamSpec) -> Stream:
        """See :class:`Fleet`."""
        return open_first(self._endpoints, spec)

    def close(self) -> None:
        """See :class:`Fleet`. The endpoints are their owner's to close."""


class ProcessFleet:
    """A :class:`Fleet` of engine processes on this machine: started for the first film, warm for the next."""

    streams = False
    shared = True

    def __init__(self, options: LocalOptions, devices: Sequence[str]) -> None:
        self._options = options
        self._devices = devices
        self._starting = Lock()
        self._running = ExitStack()
        self._started: tuple[Pool[Worker], str] | None = None
        self._films = count()
        self.engine_options = engine_options(options)

    @contextmanager
    def hired(self, info: VideoInfo) -> Iterator[tuple[Sequence[Worker], str]]:
        """See :class:`Fleet`."""
        with self._starting:
            self._started = pool, model = self._started or self._start()
            film = next(self._films)
        yield [SharedWorker(pool, film) for _ in pool.engines], model

    def open(self, spec: StreamSpec) -> Stream:
        """Never called: every film is a job here."""
        raise UsageError(f"a stream of {spec.width}x{spec.height} frames: processes take whole files")

    def close(self) -> None:
        """See :class:`Fleet`."""
        with self._starting:
            self._running.close()
            self._started = None

    def _start(self) -> tuple[Pool[Worker], str]:
        with ExitStack() as stack:
            workers = stack.enter_context(processes(self._options, self._devices))
            model = one_model({worker.model(): worker.name for worker in workers})
            self._running = stack.pop_all()
        return Pool[Worker](workers), model


def engine_options(options: LocalOptions) -> dict[str, Any]:
    """Give those options that the frames depend on."""
    elsewhere = ("device", "memory_limit", "unload_dit", "adaptive_batch_size")
    return {name: value for name, value in asdict(options).items() if name not in elsewhere}


def one_model(models: Mapping[str, str]) -> str:
    """Give the one model; ``models``: where each was seen. Raises :class:`UsageError` where there are several."""
    if len(models) > 1:
        found = " and ".join(f"{model!r} at {place}" for model, place in models.items())
        raise UsageError(f"the endpoints have different models, {found}: a film needs the same one everywhere")
    return next(iter(models))


def fleet_of(endpoints: Sequence[Endpoint], local: tuple[LocalOptions, Sequence[str]] | None) -> Fleet:
    """Give the fleet of a client; ``local``: options and devices of the engine on this machine, if it is there."""
    if local is None:
        return EndpointFleet(endpoints)
    options, devices = local
    return ProcessFleet(options, devices) if len(devices) > 1 else EndpointFleet(endpoints, engine_options(options))
