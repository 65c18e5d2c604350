"""How many engines a cluster gets, and what each asks of a node: a pure decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flashvsr_client.cluster.options import ClusterOptions
from flashvsr_client.errors import EngineUnavailableError, UsageError

_CORES: Final = 4
"""Of an engine without a GPU: more of them gain little, and two engines of four cores outrun one of eight."""
DEVICES: Final = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of the cluster, with what Ray counts of it."""

    id: str
    name: str
    cpus: int
    gpus: int


@dataclass(frozen=True, slots=True)
class Placement:
    """``count`` engines, each with these resources."""

    count: int
    device: str
    """For :class:`LocalOptions`: an engine sees no other GPU than its own."""
    cpus: int
    gpus: int

    def __str__(self) -> str:
        gpu = " and a GPU" * (self.gpus > 0)
        return f"{self.cpus} core{'s' * (self.cpus > 1)}{gpu}"


def place(nodes: Sequence[Node], device: str, options: ClusterOptions) -> Placement:
    """Give an engine to each GPU of the nodes; where there is none, one to so many cores.

    As many as ``options.actors`` says are asked for even where there is no room yet, for a cluster that grows. Raises
    :class:`EngineUnavailableError` where a GPU is asked for and none is there, :class:`UsageError` for a device that
    is none.
    """
    if device not in DEVICES:
        raise UsageError(f"device {device!r} on a cluster: give {', '.join(DEVICES)}; Ray chooses which GPU")
    gpus = sum(node.gpus for node in nodes)
    if device == "cuda" and not gpus and options.actors is None:
        raise EngineUnavailableError(
            f"the Ray cluster at {options.address} has no GPU ({said(nodes)}): give --device cpu, or --ray-actors N "
            "where GPUs are added as they are asked for"
        )
    if device != "cpu" and (gpus or device == "cuda"):
        room, chosen, cpus = gpus, "cuda", options.cpus or 1
    else:
        largest = max((node.cpus for node in nodes), default=0)
        chosen, cpus = "cpu", options.cpus or max(1, min(_CORES, largest))
        room = sum(node.cpus // cpus for node in nodes)
    count = options.actors if options.actors is not None else max(1, room)
    return Placement(count, chosen, cpus, int(chosen == "cuda"))


def said(nodes: Sequence[Node]) -> str:
    """The nodes, for people: "node-a: 8 cores, 2 GPUs"."""
    told = [f"{n.name}: {n.cpus} core{'s' * (n.cpus != 1)}, {n.gpus} GPU{'s' * (n.gpus != 1)}" for n in nodes]
    return "; ".join(told) or "no nodes"
