"""Processes that are killed, and how long it takes until new sessions give frames again."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import grpc
import numpy as np
import pytest
from flashvsr_client import Client, ClientError, SessionLostError
from flashvsr_handler.serve.revival import PATIENCE_S
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.e2e.serving import Caller, Server, pictures, serving, wait_until
from tests.faults.conftest import Figure
from tests.faults.engines import DEVICE, EXCEPTION
from tests.faults.lab import environment, kept, seconds_until_it_works

pytestmark = [pytest.mark.e2e, pytest.mark.faults]
BREAKING = environment("tests.faults.engines:breaking")


def test_worker_killed(errors: IO[str], figure: Figure) -> None:
    with serving(errors, "--max-sessions", "4", environment=environment()) as server:
        caller = Caller(server.address)
        session = caller.open()
        killed = server.worker
        killed.kill()
        figure("recovery_s", seconds_until_it_works(caller))
        assert server.worker.pid != killed.pid
        (lost,) = caller.frames(session, 0, pictures(1))
        assert lost.error.code == pb.ERROR_CODE_NO_SESSION


def test_worker_slow_to_start(errors: IO[str], figure: Figure) -> None:
    """On a busy machine it takes long until a worker can say that it loads: it is not to begin from the beginning."""
    with serving(errors, "--max-sessions", "4", environment=environment()) as server:
        killed, java = server.worker, server.java
        killed.kill()
        assert wait_until(lambda: any(child.pid != killed.pid for child in java.children()), 60)
        (newborn,) = (child for child in java.children() if child.pid != killed.pid)
        newborn.suspend()
        time.sleep(2 * PATIENCE_S)
        newborn.resume()
        figure("recovery_s", seconds_until_it_works(Caller(server.address)))
        assert server.worker == newborn
        errors.seek(0)
        assert "starting another worker" not in errors.read()


def test_java_killed(tmp_path: Path, figure: Figure) -> None:
    with kept(tmp_path / "log", environment=environment()) as server:
        server.java.kill()
        figure("recovery_s", seconds_until_it_works(Caller(server.address)))
        assert server.starts == 2


def broken(server: Server, caller: Caller, mark: int) -> list[pb.StreamResponse]:
    session = caller.open()
    return caller.frames(session, 0, np.full((25, 24, 32, 3), mark, np.uint8))


def test_handler_exception(errors: IO[str], figure: Figure) -> None:
    with serving(errors, "--max-sessions", "4", environment=BREAKING) as server:
        caller, worker = Caller(server.address), server.worker.pid
        other = caller.open()
        assert caller.frames(other, 0, pictures(25))[-1].HasField("done")
        answers = broken(server, caller, EXCEPTION)
        assert answers[-1].error.code in (pb.ERROR_CODE_INTERNAL, pb.ERROR_CODE_SESSION_LOST)
        assert "asked for by a test" not in answers[-1].error.message  # what failed is for the log alone
        figure("recovery_s", seconds_until_it_works(caller))
        assert caller.frames(other, 1, pictures(8))[-1].HasField("done")
        assert server.worker.pid == worker


def test_cuda_error(errors: IO[str], figure: Figure) -> None:
    """A CUDA error stays in its process for good: the worker leaves, and another one begins clean."""
    with serving(errors, "--max-sessions", "4", environment=BREAKING) as server:
        caller, worker = Caller(server.address), server.worker.pid
        with suppress(grpc.RpcError):  # the worker may be gone before its answer is sent
            (answer,) = broken(server, caller, DEVICE)
            assert answer.error.code == pb.ERROR_CODE_SESSION_LOST
        figure("recovery_s", seconds_until_it_works(caller))
        assert wait_until(lambda: server.worker.pid != worker, 10)


class Viewer(threading.Thread):
    """Upscales clips one after the other; one that is lost is begun again, as a user would."""

    def __init__(self, address: str, until: threading.Event) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.until = until
        self.clips = 0
        self.lost = 0
        self.longest_gap_s = 0.0

    def run(self) -> None:
        clip, last = list(pictures(60)), time.monotonic()
        with Client(self.address) as client:
            while not self.until.is_set():
                try:
                    with client.open_session(32, 24, scale=2) as session:
                        count = sum(1 for _ in session.upscale(clip))
                except ClientError as error:
                    self.lost += isinstance(error, SessionLostError)
                    self.until.wait(0.2)
                    continue
                assert count == len(clip)
                self.clips += 1
                self.longest_gap_s = max(self.longest_gap_s, time.monotonic() - last)
                last = time.monotonic()


def test_restart_under_load(tmp_path: Path, figure: Figure) -> None:
    with kept(tmp_path / "log", "--drain-timeout", "5", environment=environment(fps=120)) as server:
        until = threading.Event()
        viewers = [Viewer(server.address, until) for _ in range(2)]
        for viewer in viewers:
            viewer.start()
        assert wait_until(lambda: all(viewer.clips >= 2 for viewer in viewers), 60)
        server.restart()
        again = wait_until(lambda: server.starts == 2, 60)
        then = [viewer.clips for viewer in viewers]
        resumed = wait_until(lambda: all(v.clips > t + 1 for v, t in zip(viewers, then, strict=True)), 120)
        until.set()
        for viewer in viewers:
            viewer.join(60)
        assert again
        assert resumed
        figure("longest_gap_s", max(viewer.longest_gap_s for viewer in viewers))
        figure("clips_begun_again", sum(viewer.lost for viewer in viewers))
