"""Which cluster, how much of it, and how films and segments travel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flashvsr_client.errors import UsageError

FILES: Final = ("auto", "shared", "sent")


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Of a Ray cluster that runs already. Raises :class:`UsageError` for what is not allowed."""

    address: str = "auto"
    """HOST:PORT of its head, from one of its nodes; ray://HOST:PORT from elsewhere; auto: RAY_ADDRESS, or this
    node's."""
    actors: int | None = None
    """Engines; None: as many as the cluster has room for, 1 at least. More wait until it grows."""
    cpus: int | None = None
    """Cores that each engine asks for; None: 1 beside a GPU, else 4, or what the largest node has."""
    wait: float = 60.0
    """Seconds to wait for room for the first engine, and for one that was lost to come back."""
    files: str = "auto"
    """"shared": every node sees the input and the job's folder under the driver's paths; "sent": over the network;
    auto: each node as it can."""
    scratch: str | None = None
    """Folder of each node for what it does not share; None: its folder for temporary files."""

    def __post_init__(self) -> None:
        if not self.address:
            raise UsageError("ray address '': give auto, HOST:PORT or ray://HOST:PORT")
        for name, value in (("actors", self.actors), ("cpus", self.cpus)):
            if value is not None and value < 1:
                raise UsageError(f"ray {name} {value}: give 1 or more")
        if self.wait < 0:
            raise UsageError(f"ray wait {self.wait:g} s: give 0 or more")
        if self.files not in FILES:
            raise UsageError(f"ray files {self.files!r}: give {', '.join(FILES)}")
