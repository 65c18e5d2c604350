"""What happens to the processes of a server and to its disk."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil  # type: ignore[import-untyped]

from bench.chaos.server import Target
from tests.faults.lab import fill


def worker_killed(target: Target, rng: random.Random) -> None:
    """Kill -9 for the worker."""
    _signal(target.worker(), signal.SIGKILL)


def java_killed(target: Target, rng: random.Random) -> None:
    """Kill -9 for Java."""
    _signal(target.java(), signal.SIGKILL)


def supervisor_killed(target: Target, rng: random.Random) -> None:
    """Kill -9 for flashvsr-serve itself: Java and worker must go with it."""
    _signal(target.supervisor, signal.SIGKILL)


def worker_stopped(target: Target, rng: random.Random) -> None:
    """Stop the worker for some seconds, as swapping or a debugger does."""
    _stopped(target.worker, rng.uniform(0.5, 15))


def java_stopped(target: Target, rng: random.Random) -> None:
    """The same for Java."""
    _stopped(target.java, rng.uniform(0.5, 8))


def restarted(target: Target, rng: random.Random) -> None:
    """SIGTERM under load: sessions are drained, the service manager starts the next one."""
    target.process.send_signal(signal.SIGTERM)
    target.wait_for_end()


def hung_up(target: Target, rng: random.Random) -> None:
    """SIGHUP, as a closed terminal sends it."""
    target.process.send_signal(signal.SIGHUP)
    target.wait_for_end()


def disk_full(target: Target, rng: random.Random) -> None:
    """Fill the disk that the server writes to, for some seconds; every other time the worker is killed meanwhile."""
    with _full(target):
        time.sleep(rng.uniform(1, 4))
        if rng.random() < 0.5:
            worker_killed(target, rng)
            time.sleep(rng.uniform(2, 8))


def restarted_on_a_full_disk(target: Target, rng: random.Random) -> None:
    """SIGTERM while nothing can be written."""
    with _full(target):
        restarted(target, rng)


@contextmanager
def _full(target: Target) -> Iterator[None]:
    ballast = target.disk / "ballast"
    fill(ballast)
    try:
        yield
    finally:
        with suppress(OSError):  # gone with the server
            ballast.unlink()


def _stopped(find: Callable[[], psutil.Process | None], seconds: float) -> None:
    if (process := find()) is None:
        return
    _signal(process, signal.SIGSTOP)
    time.sleep(seconds)
    _signal(process, signal.SIGCONT)


def _signal(process: psutil.Process | None, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        if process is not None:
            process.send_signal(number)
