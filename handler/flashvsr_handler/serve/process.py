"""TorchServe's Java process: started as our child, never left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import util
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]

from flashvsr_handler.serve.rundir import RunDir
from flashvsr_handler.settings import PREFIX

PR_SET_PDEATHSIG: Final = 1
QUIET: Final = "quiet"
"""The log level at which TorchServe has nothing on stderr; all is in the run directory's logs."""
POLL_S: Final = 0.05
DROPPED: Final = ("TS_CONFIG_FILE", "METRICS_CONFIG", "TEMP")
"""Variables that would make TorchServe read something other than the run directory."""


class TorchServe:
    """A running TorchServe: Java at the head of a process group in which its workers are too."""

    def __init__(self, java: str, run: RunDir, log_level: str, environment: Mapping[str, str]) -> None:
        parent = os.getpid()
        libc = ctypes.CDLL(None) if sys.platform == "linux" else None

        def die_with_parent() -> None:  # in the child, before it becomes Java
            if libc is not None:
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != parent:
                    os._exit(1)

        with (run.logs / "java.log").open("wb") as log:
            self._process = subprocess.Popen(
                _command(java, run, log_level),
                cwd=run.path,
                env=_environment(run, environment),
                stdin=subprocess.DEVNULL,
                stdout=log if log_level == QUIET else sys.stderr,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    @property
    def pid(self) -> int:
        """Process id of Java."""
        return self._process.pid

    def workers(self) -> set[int]:
        """Process ids of the workers that run."""
        return {child.pid for child in _children(self.pid)}

    def has_newborn(self, seconds: float) -> bool:
        """Whether a worker was started less than so long ago; None is young where the clock was put back since."""
        now = time.time()
        return any(0 <= now - child.create_time() < seconds for child in _children(self.pid))

    def ended(self) -> str | None:
        """Say how Java ended, None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def stop(self, timeout_s: float, hurry: Callable[[], bool]) -> bool:
        """Let it finish what it was asked, at most so long and until ``hurry``; return whether it did."""
        self._process.terminate()
        deadline = time.monotonic() + timeout_s
        while self._process.poll() is None:
            if time.monotonic() > deadline or hurry():
                return False
            time.sleep(POLL_S)
        return True

    def kill(self) -> None:
        """End Java and all workers at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _children(parent: int) -> list[psutil.Process]:
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(parent).children():
            with suppress(psutil.NoSuchProcess):  # one that ends meanwhile takes no other with it
                if child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child)
    return found


def _command(java: str, run: RunDir, log_level: str) -> list[str]:
    spec = util.find_spec("ts")
    assert spec is not None
    assert spec.origin is not None
    home = Path(spec.origin).parents[1]
    return [
        java,
        f"-Dmodel_server_home={home}",
        f"-Djava.io.tmpdir={run.tmp}",
        f"-Dlog4j.configurationFile={run.logging.as_uri()}",
        f"-Dflashvsr.log.level={'error' if log_level == QUIET else log_level}",
        *_vmargs(run.config),
        *("-cp", f"{home}/ts/frontend/*"),
        "org.pytorch.serve.ModelServer",
        *("--python", sys.executable),
        *("-f", str(run.config)),
        *("-s", str(run.store)),
        "-ncs",
        *("-m", *(f"{name}={name}" for name in run.models)),
    ]


def _vmargs(config: Path) -> list[str]:
    """Java's own options, which TorchServe's launcher would read from its configuration."""
    lines = config.read_text(encoding="utf-8").splitlines()
    return next((line.partition("=")[2].split() for line in lines if line.startswith("vmargs=")), [])


def _environment(run: RunDir, environment: Mapping[str, str]) -> dict[str, str]:
    """Give the environment without our own overrides: they are in the model's configuration by now."""
    kept = {k: v for k, v in environment.items() if k not in DROPPED and not k.startswith(PREFIX)}
    # A worker's threads that spin while they wait take the cores from Java and from clients on the same machine.
    kept.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return kept | {"TMPDIR": str(run.tmp), "LOG_LOCATION": str(run.logs), "METRICS_LOCATION": str(run.logs)}
