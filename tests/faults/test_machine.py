"""A machine whose disk is full or whose clock jumps."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil  # type: ignore[import-untyped]
import pytest
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.e2e.serving import COMMAND, FREE_PORTS, Caller, output, pictures, serving, wait_until
from tests.faults.conftest import Figure
from tests.faults.lab import can_mount, environment, fill, seconds_until_it_works, works

pytestmark = [pytest.mark.e2e, pytest.mark.faults]
DAY_S = 86_400
DISK = "8m"


@contextmanager
def on_a_disk(*options: str) -> Iterator[tuple[subprocess.Popen[str], Caller, Path]]:
    """A server, one who calls it, and the small disk of its own on which everything lies that it writes."""
    run = Path("/tmp") / f"fv-disk-{os.getpid()}"  # short: sockets lie in it
    run.mkdir()
    command = " ".join([COMMAND, *FREE_PORTS, "--run-dir", f"{run}/r", *options])
    script = f"mount -t tmpfs -o size={DISK} tmpfs {run} && exec {command}"
    server = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script], stdout=subprocess.PIPE, text=True, env=environment()
    )
    assert server.stdout is not None
    try:
        line = server.stdout.readline()
        assert line.startswith("flashvsr-serve: ready on "), line
        yield server, Caller(line.split()[3]), Path(f"/proc/{server.pid}/root{run}")
    finally:
        server.terminate()
        server.wait(60)
        server.stdout.close()
        shutil.rmtree(run)


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a file system")
def test_full_disk_for_logs(figure: Figure) -> None:
    """A session goes on, errors that would be logged do no harm, and a killed worker comes back."""
    with on_a_disk() as (server, caller, disk):
        session = caller.open()
        assert len(output(caller.frames(session, 0, pictures(25)))) == 21
        fill(disk / "ballast")
        start = time.monotonic()
        for index in range(1, 6):
            assert len(output(caller.frames(session, index, pictures(8)))) == 8
            assert caller.many(session_id="nobody", flush=pb.Flush())[-1].HasField("error")
        figure("five_chunks_on_a_full_disk_s", time.monotonic() - start)
        assert works(caller)
        (java,) = psutil.Process(server.pid).children()
        (worker,) = java.children()
        worker.kill()
        time.sleep(2)
        (disk / "ballast").unlink()
        figure("worker_killed_on_a_full_disk_recovery_s", 2 + seconds_until_it_works(caller))


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a file system")
def test_a_server_on_a_full_disk_lets_sessions_end(figure: Figure) -> None:
    """Workers are told that the server stops where nothing new can be written."""
    with on_a_disk("--drain-timeout", "20") as (server, caller, disk):
        session = caller.open()
        assert len(output(caller.frames(session, 0, pictures(25)))) == 21
        fill(disk / "ballast")
        server.terminate()
        assert wait_until(lambda: caller.one(ping=pb.Ping()).pong.draining, 10)
        assert caller.one(open=pb.Open(width=32, height=24, scale=2)).error.code == pb.ERROR_CODE_DRAINING
        answers = caller.frames(session, 1, pictures(8))
        assert len(output(answers)) == 8
        assert answers[-1].done.drain_ms > 0
        caller.one(session_id=session, close=pb.Close())
        start = time.monotonic()
        assert server.wait(30) == 0
        figure("ended_after_the_last_session_s", time.monotonic() - start)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler for a clock that can be set")
@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S], ids=["a day ahead", "a day back"])
def test_clock_jump(errors: IO[str], tmp_path: Path, figure: Figure, jump_s: int) -> None:
    """The wall clock jumps for supervisor, Java and worker; what counts time for sessions is monotonic."""
    clock, library = tmp_path / "offset", tmp_path / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, Path(__file__).with_name("clock.c")], check=True)
    clock.write_bytes(struct.pack("q", 0))
    shifted = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(clock)}
    with serving(errors, "--idle-timeout", "6", environment=environment() | shifted) as server:
        caller = Caller(server.address)
        session = caller.open()
        assert len(output(caller.frames(session, 0, pictures(25)))) == 21
        with clock.open("r+b") as file:
            file.write(struct.pack("q", jump_s))
        shown = subprocess.check_output(["date", "+%s"], env=dict(os.environ) | shifted)
        assert abs(int(shown) - time.time() - jump_s) < 60
        time.sleep(2)
        start = time.monotonic()
        assert len(output(caller.frames(session, 1, pictures(8)))) == 8
        figure("first_chunk_after_the_jump_s", time.monotonic() - start)
        assert caller.one(ping=pb.Ping()).pong.sessions == 1
        assert wait_until(lambda: caller.one(ping=pb.Ping()).pong.sessions == 0, 15)  # it still expires
        assert works(caller)
