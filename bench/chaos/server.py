"""The server that is broken: kept running as a service manager does it, its run directory on a small disk."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import psutil  # type: ignore[import-untyped]

from tests.e2e.serving import COMMAND, Caller, wait_until
from tests.faults.lab import ROOT, can_mount, environment, free_base, free_base_above, works

DISK: Final = "16m"
START_S: Final = 180.0
MAX_SESSIONS: Final = 12
FPS: Final = 240
OPTIONS: Final = (
    *("--device", "cpu", "--max-sessions", str(MAX_SESSIONS), "--idle-timeout", "10", "--park-after", "2"),
    *("--drain-timeout", "5", "--worker-log-level", "info", "--startup-timeout", str(START_S)),
)


class Target:
    """A server on fixed ports; whenever it ends it is started again, with an empty run directory."""

    def __init__(self, log: Path) -> None:
        self.port = free_base(8)
        self.address = f"127.0.0.1:{self.port}"
        self.http_port = free_base_above(self.port)
        self.has_disk = can_mount()
        self.starts = 0
        self.exits: list[int] = []
        self._folder = Path(mkdtemp(prefix="fv-chaos-", dir="/tmp"))  # short: sockets lie in it
        self._log = log.open("w")
        self._ended = threading.Event()
        self.process = self._start()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._keeper.start()

    @property
    def disk(self) -> Path:
        """Its run directory's disk, seen from here."""
        return Path(f"/proc/{self.process.pid}/root{self._folder}") if self.has_disk else self._folder

    @property
    def supervisor(self) -> psutil.Process:
        """The process of flashvsr-serve."""
        return psutil.Process(self.process.pid)

    def java(self) -> psutil.Process | None:
        """TorchServe's process, None while there is none."""
        return _child(self.supervisor)

    def worker(self) -> psutil.Process | None:
        """The worker's, None while there is none."""
        java = self.java()
        return None if java is None else _child(java)

    def metrics(self) -> dict[str, float]:
        """What /metrics says, the labels of our own (Reason, ...) kept in the name: ``name`` or ``name{value}``."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port + 2}/metrics", timeout=10) as answer:
            return dict(_samples(answer.read().decode()))

    def wait_for_end(self) -> None:
        """Wait until the server that runs now has ended, 60 s at most."""
        running = self.process
        with suppress(subprocess.TimeoutExpired):
            running.wait(60)

    def close(self) -> None:
        """End it for good."""
        self._ended.set()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._keeper.join(30)
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> subprocess.Popen[str]:
        self.starts += 1
        run = self._folder / f"r{self.starts}"
        ports = ("--grpc-port", str(self.port), "--http-port", str(self.http_port), "--run-dir", str(run))
        command = [COMMAND, *OPTIONS, *ports]
        if self.has_disk:
            script = f'mount -t tmpfs -o size={DISK} tmpfs {self._folder} && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", script, "sh", *command]
        chosen = environment("bench.chaos.engine:load") | {"ECHO_FPS": str(FPS), "FLASHVSR_RECONNECT_S": "3"}
        return subprocess.Popen(command, stdout=self._log, stderr=self._log, text=True, env=chosen, cwd=ROOT)

    def _keep(self) -> None:
        while not self._ended.is_set():
            code = self.process.poll()
            if code is not None and not self._ended.wait(0.2):
                self.exits.append(code)
                self._log.write(f"--- ended with {code}, started again\n")
                self._log.flush()
                self.process = self._start()
            time.sleep(0.1)


@contextmanager
def target(log: Path) -> Iterator[Target]:
    """Such a server for the time of the block, ready at its beginning."""
    server = Target(log)
    try:
        caller = Caller(server.address)
        assert wait_until(lambda: works(caller), START_S), log.read_text()
        yield server
    finally:
        server.close()


def _child(parent: psutil.Process) -> psutil.Process | None:
    """The youngest child that lives: an old one may not have been buried yet."""
    try:
        children = [child for child in parent.children() if child.status() != psutil.STATUS_ZOMBIE]
        return max(children, key=lambda child: child.create_time(), default=None)
    except psutil.Error:
        return None


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        if not line.startswith("flashvsr_"):
            continue
        name, _, rest = line.partition("{")
        labels, _, value = rest.rpartition("} ")
        reason = labels.partition('Reason="')[2].partition('"')[0]
        yield f"{name}{{{reason}}}" if reason else name, float(value)
