"""Whether the nodes have what the driver has: asked before any work, and without needing this package there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flashvsr_client.cluster.connection import Connection
from flashvsr_client.cluster.placement import Node
from flashvsr_client.errors import SessionLostError, UsageError
from flashvsr_client.executors import FleetLostError

_PACKAGES = ("flashvsr-client", "flashvsr-engine", "av")
"""Of which the frames, or the objects that travel, depend; Python's and Ray's own versions are checked by Ray."""
_ANSWER_SECONDS = 60.0
Versions = dict[str, str | None]


def check(connection: Connection, nodes: Sequence[Node]) -> list[Node]:
    """Give the nodes that can be worked on: those that answer.

    Raises :class:`UsageError` where a node lacks a package, or has it in another version than the driver.
    """
    probe = _probe()
    here = probe()
    calls = [(node, connection.ask(node.id, f"node {node.name}", probe)) for node in nodes]
    able: list[Node] = []
    for node, call in calls:
        try:
            there: Versions = call.result(_ANSWER_SECONDS)
        except FleetLostError:
            raise
        except SessionLostError:
            continue
        _compare(node, here, there)
        able.append(node)
    return able


def _compare(node: Node, here: Versions, there: Versions) -> None:
    for name in _PACKAGES:
        if there[name] is None:
            raise UsageError(
                f"node {node.name} has no {name}: on every node, "
                "pip install ./proto ./engine './client[ray,local]' in the repository's folder"
            )
        if here[name] is not None and here[name] != there[name]:
            raise UsageError(
                f"node {node.name} has {name} {there[name]}, this machine {here[name]}: install the same everywhere"
            )


def _probe() -> Callable[[], Versions]:
    """Give a function that travels whole, since it belongs to no module."""
    names = _PACKAGES

    def versions() -> Versions:
        from importlib.metadata import PackageNotFoundError, version

        found: Versions = {}
        for name in names:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                found[name] = None
        return found

    return versions
