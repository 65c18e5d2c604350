"""The hour: load, a fault, recovery, load, rest, a look at the books; again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

import grpc

from bench.chaos import machine, strangers
from bench.chaos.jobs import Jobs
from bench.chaos.ledger import Ledger
from bench.chaos.server import Target, target
from bench.chaos.tally import Gate, Tally
from bench.chaos.viewers import HABITS, Viewer
from tests.e2e.serving import wait_until
from tests.faults.lab import works

READY_S: Final = 90.0
"""A new session gives frames at the latest so long after a fault is over."""
FILM_S: Final = 150.0
"""A film that runs, or a job, is whole at the latest so long after that."""
LOAD_S: Final = (1.0, 4.0)
PAIRS: Final = 0.15
"""The share of rounds in which a second fault follows while the first is at work."""

OF_PROCESSES: Final[tuple[Callable[[Target, random.Random], None], ...]] = (
    machine.worker_killed,
    machine.java_killed,
    machine.supervisor_killed,
    machine.worker_stopped,
    machine.java_stopped,
    machine.restarted,
    machine.hung_up,
    machine.disk_full,
    machine.restarted_on_a_full_disk,
)
OF_CLIENTS: Final[tuple[Callable[[str, random.Random], None], ...]] = (
    strangers.vanishes,
    strangers.half_closes,
    strangers.sends_rubbish,
    strangers.reads_slowly,
    strangers.takes_everything,
    strangers.breaks_the_handler,
    strangers.runs_out_of_memory,
    strangers.breaks_the_device,
)


@dataclass(frozen=True)
class Fault:
    """One kind: a name and what is done."""

    name: str
    inject: Callable[[random.Random], None]


@dataclass
class Outcome:
    """All that a run has to tell."""

    tally: Tally
    seconds: float = 0.0
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    grown: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    starts: int = 0


def run(minutes: float, seed: int, folder: Path, log: TextIO, only: tuple[str, ...] = ()) -> Outcome:
    """Inject faults for so long, in an order that ``seed`` decides; ``only``: those by name, else all."""
    rng, gate, tally = random.Random(seed), Gate(), Tally()
    outcome = Outcome(tally)
    with target(folder / "server.log") as server:
        jobs = Jobs(server.address, folder, gate, tally)
        faults = [fault for fault in _faults(server, jobs) if not only or fault.name in only]
        ledger = Ledger(server, tally)
        with _load(server, gate, tally, jobs, seed):
            start = time.monotonic()
            while (spent := time.monotonic() - start) < minutes * 60:
                _round(_Scene(server, gate, tally, ledger, rng), faults, outcome, log, spent)
            outcome.seconds = time.monotonic() - start
        outcome.grown, outcome.starts = ledger.grown, server.starts
    return outcome


@dataclass(frozen=True)
class _Scene:
    server: Target
    gate: Gate
    tally: Tally
    ledger: Ledger
    rng: random.Random


def _round(scene: _Scene, faults: list[Fault], outcome: Outcome, log: TextIO, spent: float) -> None:
    time.sleep(scene.rng.uniform(*LOAD_S))
    chosen = [scene.rng.choice(faults)]
    if scene.rng.random() < PAIRS:
        chosen.append(scene.rng.choice(faults))
    name = " and ".join(fault.name for fault in chosen)
    scene.tally.fault = name
    scene.tally.count(rounds=1, faults=len(chosen))
    before = len(scene.tally.violations)
    threads = [threading.Thread(target=_inject, args=(fault, scene), daemon=True) for fault in chosen]
    for thread in threads:
        thread.start()
        time.sleep(scene.rng.uniform(0, 3) if len(threads) > 1 else 0)
    for thread in threads:
        thread.join(READY_S)
        if thread.is_alive():
            scene.tally.violated(f"{name} did not come to an end")
    seconds = _recovery(scene)
    outcome.recoveries.setdefault("two at a time" if len(chosen) > 1 else name, []).append(seconds)
    start = time.monotonic()
    if scene.gate.close(FILM_S):
        whole = time.monotonic() - start
        scene.ledger.check()
    else:
        whole = FILM_S
        scene.tally.violated(f"clients were not done {FILM_S:g} s after the server was")
    scene.gate.open()
    new = "".join(f"\n    ! {line}" for line in scene.tally.violations[before:])
    print(f"{spent:7.1f} s  {name}: {seconds:.2f} s, films whole after {whole:.1f} s{new}", file=log, flush=True)


def _inject(fault: Fault, scene: _Scene) -> None:
    try:
        fault.inject(scene.rng)
    except (grpc.RpcError, OSError, strangers.TurnedAwayError) as error:  # the server was away when a stranger came
        scene.tally.count(**{f"stranger met {type(error).__name__}": 1})
    except AssertionError as error:
        scene.tally.violated(f"{fault.name}: {error}")


def _recovery(scene: _Scene) -> float:
    """Seconds from now until a new session gives frames."""
    start = time.monotonic()

    def well() -> bool:
        with strangers.stranger(scene.server.address) as caller:
            return works(caller)

    if not wait_until(well, READY_S):
        scene.tally.violated(f"nothing works {READY_S:g} s after the fault")
    return time.monotonic() - start


def _faults(server: Target, jobs: Jobs) -> Iterator[Fault]:
    for act in OF_PROCESSES:
        if server.has_disk or "disk" not in act.__name__:
            yield Fault(_named(act), lambda rng, act=act: act(server, rng))  # type: ignore[misc]
    for behave in OF_CLIENTS:
        yield Fault(f"a client {_named(behave)}", lambda rng, behave=behave: behave(server.address, rng))  # type: ignore[misc]
    yield Fault("job killed", lambda rng: jobs.kill())


def _named(act: Callable[..., None]) -> str:
    return act.__name__.replace("_", " ")


@contextmanager
def _load(server: Target, gate: Gate, tally: Tally, jobs: Jobs, seed: int) -> Iterator[None]:
    clients: list[threading.Thread] = [
        Viewer(number, habit, server.address, gate, tally, seed) for number, habit in enumerate(HABITS, 1)
    ]
    clients.append(jobs)
    for client in clients:
        client.start()
    try:
        yield
    finally:
        gate.end()
        for client in clients:
            client.join(FILM_S)
