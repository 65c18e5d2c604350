"""What must be as before whenever nobody uses the server: books, bytes, threads, descriptors."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

import grpc
import psutil  # type: ignore[import-untyped]
from flashvsr_proto.v1 import stream_pb2 as pb

from bench.chaos.server import MAX_SESSIONS, Target
from bench.chaos.strangers import stranger
from bench.chaos.tally import Tally
from tests.e2e.serving import wait_until

EMPTY_S: Final = 60.0
"""Sessions that were left open expire after 10 s; time in which the engine was busy counts a quarter."""
PUBLISHED_S: Final = 15.0
SLACK_THREADS: Final = MAX_SESSIONS + 12
"""Of pools that grow with the most streams that there were at one time, and no further."""
SLACK_FILES: Final = 24
ENDED: Final = ("closed", "expired", "lost")
MIB: Final = 1 << 20


@dataclass(frozen=True)
class Reading:
    """One look at a process that is at rest."""

    pid: int
    threads: int
    files: int
    mib: float


@dataclass
class Ledger:
    """Looks at a server at rest, and compares with what it saw before of the same processes."""

    target: Target
    tally: Tally
    first: dict[str, Reading] = field(default_factory=dict)
    """Of each process that runs, its first reading."""
    grown: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """By part: minutes that a process lived between readings, and the MiB that it grew in them."""
    _java: int = 0
    _worker: int = 0
    _missing: float = 0.0
    _began: dict[str, float] = field(default_factory=dict)

    def check(self) -> None:
        """Look once; what is wrong goes to the tally."""
        start = time.monotonic()
        if not wait_until(self._is_empty, EMPTY_S):
            self.tally.violated(f"not empty {EMPTY_S:g} s after the last client had left: {self._said()}")
            return
        self.tally.count(rests=1)
        self._check_books(start)
        for part, process in self._parts().items():
            self._check_process(part, process)

    def _is_empty(self) -> bool:
        pong = self._pong()
        return pong is not None and (pong.sessions, pong.state_bytes, pong.parked) == (0, 0, 0)

    def _pong(self) -> pb.Pong | None:
        try:
            with stranger(self.target.address) as caller:
                return caller.one(5, ping=pb.Ping()).pong
        except grpc.RpcError:
            return None

    def _said(self) -> str:
        return " ".join(str(self._pong()).split())

    def _check_books(self, since: float) -> None:
        """opened == closed + expired + lost + active for what a worker did; a killed one takes its sessions along."""
        java, worker = self.target.java(), self.target.worker()
        if java is None or worker is None:
            return
        if java.pid != self._java:
            self._java, self._worker, self._missing = java.pid, 0, 0.0
        same = worker.pid == self._worker
        if not wait_until(lambda: self._balance() == self._missing if same else self._balance() >= 0, PUBLISHED_S):
            self.tally.violated(
                f"books: {self._balance():g} sessions missing, {self._missing:g} before; {self._books()}"
            )
        self._worker, self._missing = worker.pid, self._balance()

    def _balance(self) -> float:
        books = self._books()
        return books["opened"] - books["active"] - sum(books[end] for end in ENDED)

    def _books(self) -> dict[str, float]:
        found = self.target.metrics()
        books = {end: found.get(f"flashvsr_sessions_closed_total{{{end}}}", 0.0) for end in ENDED}
        for name in ("opened_total", "active"):
            books[name.removesuffix("_total")] = found.get(f"flashvsr_sessions_{name}", 0.0)
        return books

    def _parts(self) -> dict[str, psutil.Process]:
        found = {"supervisor": self.target.supervisor, "java": self.target.java(), "worker": self.target.worker()}
        return {part: process for part, process in found.items() if process is not None}

    def _check_process(self, part: str, process: psutil.Process) -> None:
        try:
            seen = Reading(process.pid, process.num_threads(), process.num_fds(), process.memory_info().rss / MIB)
        except psutil.NoSuchProcess:
            return
        first = self.first.get(part)
        if first is None or first.pid != seen.pid:
            self.first[part], self._began[part] = seen, time.monotonic()
            return
        minutes = (time.monotonic() - self._began[part]) / 60
        self.grown.setdefault(part, []).append((minutes, seen.mib - first.mib))
        if seen.threads > first.threads + SLACK_THREADS:
            self.tally.violated(f"{part}: {first.threads} threads have become {seen.threads}")
        if seen.files > first.files + SLACK_FILES:
            self.tally.violated(f"{part}: {first.files} open files have become {seen.files}")
