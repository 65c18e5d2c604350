"""A real Ray cluster on this machine, a head and two nodes with room for an engine each, and ways to break it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STORE_BYTES = 80 << 20


class TwoNodes:
    """A head without cores, and two nodes of one core."""

    def __init__(self, settings: dict[str, int]) -> None:
        """``settings``: Ray's own, by their names."""
        from ray.cluster_utils import Cluster

        head: dict[str, Any] = {"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False}
        head |= {"_system_config": settings} if settings else {}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self.address: str = self._cluster.address
        self._nodes: list[Any] = []
        for _ in range(2):
            self.add()

    def add(self) -> None:
        """Start one more node."""
        self._nodes.append(self._cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES))

    def kill(self) -> None:
        """kill -9 a node: its raylet and every process that it started. Not the one that the driver hangs on."""
        import ray

        mine = ray.get_runtime_context().get_node_id()
        node = next(node for node in self._nodes if node.node_id != mine)
        self._nodes.remove(node)
        for pid in _processes(node):
            os.kill(pid, signal.SIGKILL)

    def kill_own_raylet(self) -> None:
        """kill -9 what the driver hangs on, of its node."""
        import ray

        mine = ray.get_runtime_context().get_node_id()
        node = next(node for node in [self._cluster.head_node, *self._nodes] if node.node_id == mine)
        os.kill(_processes(node)[0], signal.SIGKILL)

    def kill_head(self) -> None:
        """kill -9 the process that knows the cluster."""
        (gcs,) = self._cluster.head_node.all_processes["gcs_server"]
        os.kill(gcs.process.pid, signal.SIGKILL)

    def engines(self) -> list[int]:
        """Processes on the nodes that are engines."""
        return [pid for node in self._nodes for pid in _processes(node) if b"ray::EngineActor" in _said(pid)]

    def close(self) -> None:
        """End it all."""
        self._cluster.shutdown()


@contextmanager
def two_nodes(**settings: int) -> Iterator[TwoNodes]:
    """Run such a cluster for the time of a block."""
    cluster = TwoNodes(settings)
    try:
        yield cluster
    finally:
        cluster.close()


def _said(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _processes(node: Any) -> list[int]:
    (raylet,) = node.all_processes["raylet"]
    return [raylet.process.pid, *_below(raylet.process.pid)]


def _below(parent: int) -> list[int]:
    found = []
    for place in Path("/proc").iterdir():
        if not place.name.isdecimal():
            continue
        try:
            status = (place / "stat").read_text()
        except OSError:
            continue
        if int(status.rpartition(")")[2].split()[1]) == parent:
            pid = int(place.name)
            found += [pid, *_below(pid)]
    return found
