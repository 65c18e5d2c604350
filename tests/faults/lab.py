"""Servers for faults: on fixed ports, started again when they end, on an engine that only waits."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import psutil  # type: ignore[import-untyped]
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.e2e.serving import COMMAND, Caller, output, pictures, wait_until

ROOT = Path(__file__).parents[2]
VIEWER = """
import sys, time, numpy as np
from flashvsr_client import Client
from flashvsr_client.config import Access
frame = np.zeros((24, 32, 3), np.uint8)
def endless():
    while True:
        time.sleep(0.01)
        yield frame
with Client(sys.argv[1], access=Access(direct=sys.argv[2] == "direct")) as client:
    with client.open_session(32, 24, scale=2) as session:
        for n, _ in enumerate(session.upscale(endless())):
            if n == 30:
                print("streaming", flush=True)
"""
"""A program that streams without end: its arguments are the server's address, and direct or torchserve."""


def environment(factory: str = "bench.waiting:load", fps: int = 600) -> dict[str, str]:
    """Of a server whose engine is another one; ``fps`` is the waiting one's speed."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    chosen = {"PYTHONPATH": path, "FLASHVSR_ENGINE_FACTORY": factory, "WAITING_FPS": str(fps)}
    return dict(os.environ) | chosen | {"FLASHVSR_RECONNECT_S": "1"}


def free_base(count: int = 3) -> int:
    """A port that is free with those after it, above where the kernel gives out ports by itself."""
    for base in range(20_000 + os.getpid() % 5_000, 32_000, 8):
        with ExitStack() as held:
            try:
                for port in range(base, base + count):
                    probe = held.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    raise AssertionError("no free ports from 20000 to 32000")


def works(caller: Caller) -> bool:
    """Whether a new session gives frames, all the way."""
    try:
        opened = caller.one(timeout_s=5, open=pb.Open(width=32, height=24, scale=2))
        if not opened.HasField("opened"):
            return False
        frames = output(caller.frames(opened.session_id, 0, pictures(25)))
        caller.one(timeout_s=5, session_id=opened.session_id, close=pb.Close())
        return len(frames) == 21
    except (grpc.RpcError, AssertionError):
        return False


def seconds_until_it_works(caller: Caller, timeout_s: float = 120.0) -> float:
    """How long it takes from now until a new session gives frames."""
    start = time.monotonic()
    assert wait_until(lambda: works(caller), timeout_s), f"nothing works {timeout_s} s after the fault"
    return time.monotonic() - start


class Kept:
    """A server that is started again whenever it ends, as a service manager does it."""

    def __init__(self, log: Path, *options: str, environment: dict[str, str]) -> None:
        self.port = free_base()
        self.address = f"127.0.0.1:{self.port}"
        ports = ("--grpc-port", str(self.port), "--http-port", str(free_base_above(self.port)))
        self._command = [COMMAND, "--device", "cpu", *ports, *options]
        self._environment = environment
        self._log = log.open("w")
        self._ended = threading.Event()
        self.starts = 0
        self.process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    @property
    def java(self) -> psutil.Process:
        (java,) = psutil.Process(self.process.pid).children()
        return java

    def restart(self) -> None:
        """Ask it to end; it is started again."""
        self.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End it for good."""
        self._ended.set()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._keeper.join(30)
        self._log.close()

    def _start(self) -> subprocess.Popen[str]:
        self.starts += 1
        return subprocess.Popen(
            self._command, stdout=self._log, stderr=self._log, text=True, env=self._environment, cwd=ROOT
        )

    def _keep(self) -> None:
        while not self._ended.is_set():
            if self.process.poll() is not None and not self._ended.wait(0.2):
                self.process = self._start()
            time.sleep(0.1)


def free_base_above(port: int) -> int:
    """Three free ports beyond those that a server with gRPC at ``port`` takes."""
    for base in range(port + 8, port + 800, 8):
        with ExitStack() as held:
            try:
                for other in range(base, base + 3):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", other))
            except OSError:
                continue
            return base
    raise AssertionError(f"no free ports above {port}")


@contextmanager
def kept(log: Path, *options: str, environment: dict[str, str]) -> Iterator[Kept]:
    """Such a server for the time of the block, ready at its beginning."""
    server = Kept(log, *options, environment=environment)
    try:
        caller = Caller(server.address)
        assert wait_until(lambda: works(caller), 120), log.read_text()
        yield server
    finally:
        server.close()


def can_mount() -> bool:
    """Whether this process may give a server a disk of its own."""
    command = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]
    return shutil.which("unshare") is not None and subprocess.run(command, capture_output=True).returncode == 0


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
