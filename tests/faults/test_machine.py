"""A machine whose disk is full or whose clock jumps."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from pathlib import Path
from typing import IO

import psutil  # type: ignore[import-untyped]
import pytest
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.e2e.serving import COMMAND, FREE_PORTS, Caller, output, pictures, serving, wait_until
from tests.faults.conftest import Figure
from tests.faults.lab import environment, seconds_until_it_works, works

pytestmark = [pytest.mark.e2e, pytest.mark.faults]
DAY_S = 86_400
DISK = "8m"


def can_mount() -> bool:
    command = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]
    return shutil.which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a file system")
def test_full_disk_for_logs(tmp_path: Path, figure: Figure) -> None:
    """Everything that the server writes lies in its run directory, on a disk of its own that fills up."""
    run = Path("/tmp") / f"fv-disk-{os.getpid()}"  # short: sockets lie in it
    run.mkdir()
    script = f"mount -t tmpfs -o size={DISK} tmpfs {run} && exec {COMMAND} {' '.join(FREE_PORTS)} --run-dir {run}/r"
    server = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script], stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("flashvsr-serve: ready on "), line
        caller = Caller(line.split()[3])
        session = caller.open()
        assert len(output(caller.frames(session, 0, pictures(25)))) == 21
        disk = Path(f"/proc/{server.pid}/root{run}")
        fill(disk / "ballast")
        start = time.monotonic()
        for index in range(1, 6):  # the session goes on, and errors that would be logged do no harm
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
    finally:
        server.terminate()
        server.wait(60)
        assert server.stdout is not None
        server.stdout.close()
        shutil.rmtree(run)


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


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
