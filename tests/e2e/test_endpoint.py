"""A real server as others would meet it: TLS, tokens, the direct plane, and an engine that breaks on request."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import grpc
import numpy as np
import pytest
from flashvsr_client import Access, Client, RetryPolicy, ServerBusyError, SessionLostError
from flashvsr_handler.metrics import LABELS, Metric
from flashvsr_handler.serve.errors import Exit
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.e2e.faulty import CUDA, HANG, MARKED, RAISE, WAIT
from tests.e2e.serving import COMMAND, Caller, Server, faulty, pictures, serving, wait_until
from tests.unit.handler.certificates import certificate

pytestmark = pytest.mark.e2e
TOKENS = {"alice": "a-token-of-alices", "bob": "a-token-that-is-bobs"}
HANG_S, RECONNECT_S = 3, 1
PER_CALLER = 2


@dataclass(frozen=True)
class Secured:
    """A server with TLS and tokens, and how to reach it."""

    server: Server
    address: str
    cert: Path
    options: tuple[str, ...]

    def access(self, name: str = "alice", *, direct: bool = True) -> Access:
        return Access(TOKENS[name], self.cert, direct)

    def caller(self, token: str = TOKENS["alice"]) -> Caller:
        return Caller(self.address, token, grpc.ssl_channel_credentials(self.cert.read_bytes()))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    cert, key = certificate(folder)
    tokens = folder / "tokens"
    tokens.write_text("".join(f"{name} {token}\n" for name, token in TOKENS.items()))
    options = ("--auth", str(tokens), "--tls-cert", str(cert), "--tls-key", str(key))
    environment = faulty(hang_timeout_s=HANG_S, reconnect_s=RECONNECT_S, max_sessions_per_token=PER_CALLER)
    with (
        (folder / "stderr").open("w+") as errors,
        serving(errors, *options, "--log-format", "json", environment=environment) as server,
    ):
        port = server.address.rpartition(":")[2]
        yield Secured(server, f"localhost:{port}", cert, options)


def marked(mark: int, count: int = 25) -> np.ndarray:
    frames = pictures(count)
    frames[0, 0, :MARKED] = mark
    return frames


def enlarged(frames: np.ndarray) -> np.ndarray:
    return frames.repeat(2, 1).repeat(2, 2)


@pytest.mark.parametrize("direct", [True, False])
def test_a_client_with_a_token_gets_its_frames_on_either_plane(secured: Secured, direct: bool) -> None:
    frames = list(pictures(60))
    access = secured.access(direct=direct)
    with Client(secured.address, access=access) as client, client.open_session(32, 24, scale=2) as session:
        made = np.stack(list(session.upscale(frames)))
    np.testing.assert_array_equal(made, enlarged(np.stack(frames)))


def test_without_the_token_or_tls_nothing_is_served(secured: Secured) -> None:
    for token in ("", "another-token-than-it"):
        caller = secured.caller(token)
        for body in ({"ping": pb.Ping()}, {"open": pb.Open(width=32, height=24, scale=2)}, {"close": pb.Close()}):
            assert caller.one(**body).error.code == pb.ERROR_CODE_UNAUTHENTICATED
        assert caller.many(flush=pb.Flush())[-1].error.code == pb.ERROR_CODE_UNAUTHENTICATED
    with pytest.raises(grpc.RpcError):
        Caller(secured.address).one(5, ping=pb.Ping())


def test_the_largest_request_of_a_stranger_costs_no_worker(secured: Secured) -> None:
    worker = secured.server.worker.pid
    stranger = secured.caller("")
    answer = stranger.one(session_id="x" * ((64 << 20) - 64), ping=pb.Ping())
    assert answer.error.code == pb.ERROR_CODE_INVALID_REQUEST
    assert secured.caller().answers()
    assert secured.server.worker.pid == worker


def test_sessions_belong_to_their_token_and_each_has_its_share(secured: Secured) -> None:
    alice, bob = secured.caller(), secured.caller(TOKENS["bob"])
    sessions = [alice.open() for _ in range(PER_CALLER)]
    assert alice.one(open=pb.Open(width=32, height=24, scale=2)).error.code == pb.ERROR_CODE_BUSY
    (foreign,) = bob.frames(sessions[0], 0, pictures(1))
    assert foreign.error.code == pb.ERROR_CODE_NO_SESSION
    assert bob.one(session_id=sessions[0], close=pb.Close()).error.code == pb.ERROR_CODE_NO_SESSION
    for session in sessions:
        assert alice.one(session_id=session, close=pb.Close()).HasField("closed")


def test_the_check_command_knows_the_certificate_and_the_token(secured: Secured) -> None:
    port = secured.address.rpartition(":")[2]
    command = [COMMAND, "--check", "--device", "cpu", "--grpc-port", port]
    done = subprocess.run([*command, *secured.options], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (Exit.STOPPED, "flashvsr0: fake 1.1 on cpu, 0 sessions\n")
    without = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (without.returncode, without.stdout) == (Exit.NOT_READY, "no answer\n")


def test_an_exception_in_the_engine_costs_its_session_alone(secured: Secured) -> None:
    caller = secured.caller()
    broken, other = caller.open(), caller.open()
    assert caller.frames(broken, 0, marked(RAISE))[-1].error.code == pb.ERROR_CODE_SESSION_LOST
    assert caller.frames(broken, 1, pictures(1))[-1].error.code == pb.ERROR_CODE_NO_SESSION
    assert caller.frames(other, 0, pictures(25))[-1].HasField("done")
    caller.one(session_id=other, close=pb.Close())


def test_a_client_that_vanishes_is_noticed_at_once(secured: Secured) -> None:
    client = Client(secured.address, access=secured.access())
    session = client.open_session(32, 24, scale=2, retry=RetryPolicy(attempts=1))
    running = session.upscale(iter(pictures(200)))
    next(running)
    caller = secured.caller()
    assert caller.one(ping=pb.Ping()).pong.sessions == 1
    transport = client._endpoints[0]._transport
    for channel in transport._channels.values():  # type: ignore[attr-defined]  # as a machine that loses its network
        channel.close()
    transport._rpc.close()  # type: ignore[attr-defined]
    assert wait_until(lambda: caller.one(ping=pb.Ping()).pong.sessions == 0, RECONNECT_S + 4)
    with pytest.raises(Exception, match=r"closed|went away"):
        list(running)


@pytest.mark.parametrize("mark", [CUDA, HANG])
def test_a_worker_that_cannot_go_on_is_replaced(secured: Secured, mark: int) -> None:
    before = secured.server.worker.pid
    with (
        Client(secured.address, access=secured.access()) as client,
        client.open_session(32, 24, scale=2, retry=RetryPolicy(attempts=1)) as session,
        pytest.raises((SessionLostError, ServerBusyError)),
    ):
        list(session.upscale(iter(marked(mark, 60))))
    caller = secured.caller()
    assert wait_until(lambda: caller.answers() and secured.server.worker.pid != before, 150)
    assert caller.frames(caller.open(), 0, pictures(25))[-1].HasField("done")


def test_metrics_have_all_names_and_labels(secured: Secured) -> None:
    caller = secured.caller()
    session = caller.open()
    caller.frames(session, 0, pictures(25))
    caller.one(session_id=session, close=pb.Close())

    def published() -> str:
        with urllib.request.urlopen(secured.server.metrics, timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    assert wait_until(lambda: 'flashvsr_sessions_closed_total{ModelName="flashvsr0",' in published(), 10)
    text = published()
    gpu = {metric for metric in Metric if "gpu" in metric.title}
    quiet = {Metric.SESSIONS_REJECTED, Metric.REFUSED}  # counters that never moved in this worker
    missing = {metric.title for metric in set(Metric) - gpu - quiet if f"{metric.title}" not in text}
    assert not missing
    for stage in LABELS[Metric.STAGE_SECONDS.title]:
        assert f'Stage="{stage}"' in text
    assert TOKENS["alice"] not in text


def test_logs_are_lines_of_json_without_secrets(secured: Secured) -> None:
    caller = secured.caller()
    session = caller.open()
    caller.frames(session, 0, marked(RAISE))
    run = Path(secured.server.worker.environ()["TMPDIR"]).parent

    def lines() -> list[str]:
        return [line for line in (run / "logs" / "model.log").read_text().splitlines() if '"session": "' in line]

    assert wait_until(lambda: any(session[:8] in line for line in lines()), 10)
    line = next(line for line in lines() if session[:8] in line)
    for text in ('"level": "error"', '"request": "', "broken on purpose"):
        assert text in line
    everything = "".join(path.read_text() for path in (run / "logs").glob("*.log"))
    assert session not in everything
    assert not any(token in everything for token in TOKENS.values())


@pytest.fixture
def errors(tmp_path: Path) -> Iterator[IO[str]]:
    with (tmp_path / "stderr").open("w+") as file:
        yield file


def test_sigterm_lets_sessions_end_and_tells_them_when_they_must(errors: IO[str]) -> None:
    with serving(errors, "--drain-timeout", "4", environment=faulty()) as server:
        caller = Caller(server.address)
        session, idle = caller.open(), caller.open()
        caller.frames(session, 0, pictures(25))
        server.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: caller.one(ping=pb.Ping()).pong.draining, 5)
        refused = caller.one(open=pb.Open(width=32, height=24, scale=2)).error
        assert (refused.code, refused.retryable) == (pb.ERROR_CODE_DRAINING, True)
        told = caller.frames(session, 1, pictures(8))[-1].done
        assert 0 < told.drain_ms <= 4000
        answers: list[pb.StreamResponse] = []
        assert wait_until(lambda: _ended(caller, session, answers), 6)
        assert answers[-1].error.code == pb.ERROR_CODE_DRAINING
        assert idle
        assert server.process.wait(30) == Exit.STOPPED


def _ended(caller: Caller, session: str, answers: list[pb.StreamResponse]) -> bool:
    answers += caller.frames(session, 2 + sum(a.HasField("done") for a in answers), pictures(8))[-1:]
    return answers[-1].HasField("error")


def test_a_second_signal_stops_at_once(errors: IO[str]) -> None:
    with serving(errors, environment=faulty()) as server:
        caller = Caller(server.address)
        session = caller.open()
        failed = threading.Event()

        def run() -> None:
            try:
                caller.frames(session, 0, marked(WAIT))
            except grpc.RpcError:
                failed.set()

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == Exit.KILLED
        assert time.monotonic() - began < 5
        thread.join()
        assert failed.is_set()
