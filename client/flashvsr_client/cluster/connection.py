"""The cluster as this package sees it: nodes, actors on them, and calls. It and connecting.py alone know ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import inf
from threading import Event, Thread
from typing import Any, Final

from flashvsr_client.cluster.orphan import ending_with_its_raylet
from flashvsr_client.cluster.placement import Node
from flashvsr_client.cluster.watch import Watch
from flashvsr_client.errors import (
    ClientError,
    ServerError,
    SessionLostError,
)
from flashvsr_client.segment_run import Stopped

_LOOK_SECONDS: Final = 0.2
_END_SECONDS: Final = 15.0
_THREADS: Final = 4
"""Of an actor: it answers while it works."""


class Call:
    """An answer that is on its way."""

    def __init__(self, ray: Any, reference: Any, name: str, watch: Watch) -> None:
        self._ray = ray
        self._reference = reference
        self._name = name
        self._watch = watch

    def ready(self, seconds: float) -> bool:
        """Wait for it that long at most. Raises :class:`FleetLostError` where the cluster is lost."""
        with _told(self._ray, self._watch):
            return bool(self._ray.wait([self._reference], timeout=seconds)[0])

    def awaited(self, stop: Event) -> Any:
        """Give it as :meth:`result` does, but raise :class:`Stopped` soon after ``stop`` is set."""
        while not self.ready(_LOOK_SECONDS):
            if stop.is_set():
                raise Stopped
        return self.result()

    def result(self, seconds: float | None = None) -> Any:
        """Give it. Raises what the actor raised, and :class:`SessionLostError` for an actor that is gone or silent,
        :class:`FleetLostError` where the cluster is lost.
        """
        until = inf if seconds is None else time.monotonic() + seconds
        while not self.ready(min(_LOOK_SECONDS, max(0.0, until - time.monotonic()))):
            if time.monotonic() >= until:
                raise SessionLostError(f"{self._name} did not answer within {seconds:.0f} s")
        errors = self._ray.exceptions
        try:
            with _told(self._ray, self._watch):
                return self._ray.get(self._reference)
        except errors.RayTaskError as error:
            if isinstance(error.cause, ClientError | Stopped):
                raise error.cause from None
            raise ServerError(f"{self._name} failed: {type(error.cause).__name__}: {reason_of(error.cause)}") from error
        except errors.RayError as error:
            self._watch.check_anew()
            raise SessionLostError(f"{self._name} is gone ({reason_of(error)})") from error


class Actor:
    """An object on a node. It ends with the driver, or when it is killed."""

    def __init__(self, ray: Any, handle: Any, name: str, watch: Watch) -> None:
        self._ray = ray
        self._handle = handle
        self._watch = watch
        self.name = name

    def call(self, method: str, *arguments: Any) -> Call:
        """Begin to call a method; what is given has to be picklable."""
        with _told(self._ray, self._watch):
            return Call(self._ray, getattr(self._handle, method).remote(*arguments), self.name, self._watch)

    def end(self, *, for_good: bool) -> None:
        """Kill it; unless ``for_good``, Ray starts it again where there is room."""
        with _told(self._ray, self._watch):
            self._ray.kill(self._handle, no_restart=for_good)


class Connection:
    """To one cluster. Made by :func:`connect`; safe to use from several threads."""

    def __init__(self, ray: Any, address: str, silence: float) -> None:
        self._ray = ray
        self._handles: list[Any] = []
        own = None if address.startswith("ray://") else ray.get_runtime_context().get_node_id()
        self._watch = Watch(lambda: [_node(one) for one in ray.nodes() if one["Alive"]], own, address, silence)

    def nodes(self) -> list[Node]:
        """Those that were alive some seconds ago."""
        return list(self._watch.nodes)

    @property
    def lost(self) -> str | None:
        """What died, so that nothing can be asked any more; None while all is well."""
        return self._watch.lost

    def spawn(
        self, name: str, kind: type, *arguments: Any, cpus: int = 0, gpus: int = 0, node: str | None = None
    ) -> Actor:
        """Ask for an actor, on that node or where there is room; Ray starts it again as often as it is lost."""
        remote = self._ray.remote(ending_with_its_raylet(kind)).options(
            num_cpus=cpus,
            num_gpus=gpus,
            max_restarts=-1 if node is None else 0,
            max_concurrency=_THREADS,
            **self._on(node),
        )
        with _told(self._ray, self._watch):
            handle = remote.remote(*arguments)
        self._handles.append(handle)
        return Actor(self._ray, handle, name, self._watch)

    def ask(self, node: str, name: str, function: Callable[[], Any]) -> Call:
        """Begin to call a function on a node; one that is defined in another travels whole."""
        remote = self._ray.remote(function).options(num_cpus=0, max_retries=0, **self._on(node))
        with _told(self._ray, self._watch):
            return Call(self._ray, remote.remote(), name, self._watch)

    def close(self) -> None:
        """Disconnect: all actors end. Of a cluster that is lost, for some seconds only."""
        self._watch.end()
        if self.lost is None:
            self._ray.shutdown()
            return
        for handle in self._handles:
            with suppress(OSError, self._ray.exceptions.RayError):
                handle.leave.remote()  # goes from here to there, without the head
        ending = Thread(target=self._ray.shutdown, name="flashvsr-ray-shutdown", daemon=True)
        ending.start()
        ending.join(_END_SECONDS)

    def _on(self, node: str | None) -> dict[str, Any]:
        if node is None:
            return {}
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}


@contextmanager
def _told(ray: Any, watch: Watch) -> Iterator[None]:
    """Raise :class:`FleetLostError` where the cluster is lost, which Ray shows by errors of the system, if at all."""
    watch.check()
    try:
        yield
    except OSError as error:
        if isinstance(error, ray.exceptions.RayError):  # what an actor raised comes as its kind too
            raise
        watch.broke(reason_of(error))
        watch.check()


def _node(told: Mapping[str, Any]) -> Node:
    cpus, gpus = (int(told["Resources"].get(kind, 0)) for kind in ("CPU", "GPU"))
    return Node(told["NodeID"], told["NodeName"], cpus, gpus)


def this_node() -> str:
    """The id of the node on which an actor runs."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


def reason_of(error: BaseException) -> str:
    """What an error says, in a line: of a traceback the last one, which is its reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1 if any(line.startswith("Traceback") for line in lines) else 0] if lines else type(error).__name__
