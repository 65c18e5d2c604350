"""A server under load for long: what grows?

    nice python -m bench.soak --minutes 30 --picture docs/soak.svg

starts a server of the built-in model on the loopback interface, keeps two sessions busy (clips of random length, one in
five left without a goodbye, one in ten broken off) and reads the resident memory, threads and open files of
supervisor, Java and worker every few seconds. It prints a table, draws the curves, and says by how much each grew from
the end of the first quarter to the end. The exit code is 1 when the books of sessions do not balance at the end or a
request failed.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import psutil  # type: ignore[import-untyped]
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from bench.chart import Curve, draw
from tests.e2e.serving import Caller, Server, pictures, serving, wait_until

EVERY_S = 5.0
CLIENTS = 2
MIB = 1 << 20
PARTS = ("worker", "java", "supervisor")


@dataclass
class Tally:
    """What the clients did; each adds to it alone, under the lock."""

    clips: int = 0
    frames: int = 0
    left: int = 0
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Reading:
    """One look at the processes: seconds since the start, then MiB, threads and open files by part."""

    at_s: float
    mib: dict[str, float]
    threads: dict[str, int]
    files: dict[str, int]


def main() -> int:
    """Soak for as long as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    stop, tally = threading.Event(), Tally()
    with (
        TemporaryDirectory() as folder,
        (Path(folder) / "stderr").open("w+") as errors,
        serving(errors, "--max-sessions", "16", "--idle-timeout", "20") as server,
    ):
        clients = [threading.Thread(target=_client, args=(server, n, stop, tally)) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        readings = _watch(server, options.minutes * 60)
        stop.set()
        for client in clients:
            client.join()
        caller = Caller(server.address)
        balanced = wait_until(lambda: _idle(caller), 60)
    _report(readings, tally, balanced=balanced)
    if options.picture:
        curves = [Curve(part, [(r.at_s / 60, r.mib[part]) for r in readings]) for part in PARTS]
        options.picture.write_text(draw(curves, "minutes", "resident memory, MiB"))
    return 0 if balanced and not tally.errors else 1


def _client(server: Server, number: int, stop: threading.Event, tally: Tally) -> None:
    rng, caller = random.Random(number), Caller(server.address)
    while not stop.is_set():
        try:
            frames, left = _clip(caller, rng)
        except (grpc.RpcError, AssertionError, wire.WireError) as error:
            with tally.lock:
                tally.errors.append(f"{type(error).__name__}: {error}"[:200])
            stop.wait(1)
            continue
        with tally.lock:
            tally.clips, tally.frames, tally.left = tally.clips + 1, tally.frames + frames, tally.left + left


def _clip(caller: Caller, rng: random.Random) -> tuple[int, bool]:
    """Send one clip; give the frames that came back and whether the session was left open."""
    width, height = rng.choice([(32, 24), (48, 48), (64, 48)])
    session = caller.open(width, height)
    got = 0
    for index in range(rng.randint(1, 5)):
        answers = caller.frames(session, index, pictures(rng.randint(1, 32), index, width, height))
        assert answers[-1].HasField("done"), answers[-1]
        got += answers[-1].done.frames
    ending = rng.random()
    if ending < 0.2:  # without a goodbye: it expires
        return got, True
    if ending >= 0.3:  # one in ten is closed before its end
        answers = caller.flush(session, index + 1)
        assert answers[-1].HasField("done"), answers[-1]
        got += answers[-1].done.frames
    assert caller.one(session_id=session, close=pb.Close()).HasField("closed")
    return got, False


def _watch(server: Server, seconds: float) -> list[Reading]:
    start, readings = time.monotonic(), []
    processes = {"worker": server.worker, "java": server.java, "supervisor": psutil.Process(server.process.pid)}
    while (at := time.monotonic() - start) < seconds:
        readings.append(
            Reading(
                at,
                {part: process.memory_info().rss / MIB for part, process in processes.items()},
                {part: process.num_threads() for part, process in processes.items()},
                {part: process.num_fds() for part, process in processes.items()},
            )
        )
        time.sleep(EVERY_S)
    return readings


def _idle(caller: Caller) -> bool:
    pong = caller.one(ping=pb.Ping()).pong
    return (pong.sessions, pong.state_bytes) == (0, 0)


def _report(readings: list[Reading], tally: Tally, *, balanced: bool) -> None:
    quarter = readings[len(readings) // 4]
    last = readings[-1]
    minutes = last.at_s / 60
    print(f"{minutes:.1f} minutes, {tally.clips} clips, {tally.frames} frames out, {tally.left} sessions left open")
    print("| part | MiB at a quarter | MiB at the end | growth, MiB | threads | open files |\n" + "| --- " * 6 + "|")
    for part in PARTS:
        grown = last.mib[part] - quarter.mib[part]
        threads = f"{quarter.threads[part]} -> {last.threads[part]}"
        files = f"{quarter.files[part]} -> {last.files[part]}"
        memory = f"{quarter.mib[part]:.0f} | {last.mib[part]:.0f} | {grown:+.0f}"
        print(f"| {part} | {memory} | {threads} | {files} |")
    print(f"no session and no byte left at the end: {balanced}; failed requests: {len(tally.errors)}")
    for error in sorted({" ".join(error.split()) for error in tally.errors}):
        print(f"  {error}")


if __name__ == "__main__":
    sys.exit(main())
