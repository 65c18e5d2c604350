"""A cluster in this process: nodes, actors and calls as connection.py has them, without ray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event
from typing import Any

from flashvsr_client.cluster.connection import Actor, Call, Connection
from flashvsr_client.cluster.engine_actor import EngineActor
from flashvsr_client.cluster.placement import Node
from flashvsr_client.errors import SessionLostError
from flashvsr_client.segment_run import Stopped


class FakeCall(Call):
    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def ready(self, seconds: float) -> bool:
        return bool(wait([self._future], seconds).done)

    def awaited(self, stop: Event) -> Any:
        while not self.ready(0.01):
            if stop.is_set():
                raise Stopped
        return self.result()

    def result(self, seconds: float | None = None) -> Any:
        return self._future.result(seconds)


class FakeActor(Actor):
    """``lost`` makes it answer as an actor does whose node is gone; ``calls`` are the methods that were called."""

    def __init__(self, name: str, make: Callable[[], Any]) -> None:
        self.name = name
        self.calls: list[str] = []
        self.ended: list[bool] = []
        self.lost = 0
        self.refused: dict[str, Exception] = {}
        self._object = make()
        self._threads = ThreadPoolExecutor(4)

    def call(self, method: str, *arguments: Any) -> FakeCall:
        self.calls.append(method)
        if method in self.refused:
            raise self.refused[method]
        if self.lost:
            self.lost -= 1
            gone: Future[Any] = Future()
            gone.set_exception(SessionLostError(f"{self.name} is gone"))
            return FakeCall(gone)
        return FakeCall(self._threads.submit(getattr(self._object, method), *arguments))

    def end(self, *, for_good: bool) -> None:
        self.ended.append(for_good)


class FakeConnection(Connection):
    """Engines go to the nodes in turn. ``versions``: what each node says of its packages, by its id. ``died``: what
    :attr:`Connection.lost` says."""

    def __init__(self, nodes: Sequence[Node], versions: dict[str, dict[str, str | None]] | None = None) -> None:
        self._nodes = list(nodes)
        self._versions = versions or {}
        self.engines: list[FakeActor] = []
        self.keepers: dict[str, FakeActor] = {}
        self.closed = 0
        self.died: str | None = None

    @property
    def lost(self) -> str | None:
        return self.died

    def nodes(self) -> list[Node]:
        return self._nodes

    def spawn(
        self, name: str, kind: type, *arguments: Any, cpus: int = 0, gpus: int = 0, node: str | None = None
    ) -> FakeActor:
        if kind is EngineActor:
            make, _, scratch = arguments
            place = self._nodes[len(self.engines) % len(self._nodes)].id
            self.engines.append(FakeActor(name, lambda: EngineActor(make, lambda: place, scratch)))
            return self.engines[-1]
        assert node is not None
        self.keepers[node] = FakeActor(name, lambda: kind(*arguments))
        return self.keepers[node]

    def ask(self, node: str, name: str, function: Callable[[], Any]) -> FakeCall:
        answer: Future[Any] = Future()
        answer.set_result(function() | self._versions.get(node, {}))
        return FakeCall(answer)

    def close(self) -> None:
        self.closed += 1
