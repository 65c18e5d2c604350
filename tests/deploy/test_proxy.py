"""nginx in front of two nodes: clients stay on their node, and go on when one of the nodes is killed."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import numpy as np
import pytest
from flashvsr_client import Access, Client, ClientError, ServerUnreachableError
from flashvsr_proto.torchserve.stub import InferenceStub, request
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.deploy.proxy import NGINX, proxy
from tests.e2e.serving import Caller, Server, pictures, serving, wait_until
from tests.faults.lab import environment

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="needs Debian's package nginx-light"),
]
VIEWERS = 6
CLIPS = 4
FRAMES = 240
"""Of a clip: enough that a node is killed in the middle of some."""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Two servers whose engines only wait; a test kills the second."""
    folder = tmp_path_factory.mktemp("nodes")
    with ExitStack() as running:
        errors = [running.enter_context((folder / f"{n}").open("w+")) for n in range(2)]
        yield [
            running.enter_context(serving(file, "--max-sessions", "32", environment=environment(fps=240)))
            for file in errors
        ]


class Viewer(threading.Thread):
    """Upscales clips over the proxy. A session that is lost is opened again by the client, which notes it."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.client = Client(address, access=Access(direct=False))
        self.clips: list[int] = []
        self.lost: list[str] = []

    def run(self) -> None:
        clip = list(pictures(FRAMES))
        with self.client as client:
            while len(self.clips) < CLIPS and len(self.lost) < 20:
                try:
                    with client.open_session(32, 24, scale=2) as session:
                        self.clips.append(sum(1 for _ in session.upscale(clip)))
                        self.lost += session.notes
                except ClientError as error:
                    self.lost.append(str(error))


def sessions(node: Server) -> int:
    return Caller(node.address).one(ping=pb.Ping()).pong.sessions


def test_a_session_stays_on_its_node(nodes: list[Server], tmp_path: Path) -> None:
    with (
        proxy(tmp_path, [node.address for node in nodes]) as address,
        Client(address, access=Access(direct=False)) as client,
    ):
        opened = [client.open_session(32, 24, scale=2) for _ in range(16)]
        assert sum(map(sessions, nodes)) == 16
        assert all(sessions(node) > 0 for node in nodes)  # but for one run in 32768
        for session in opened:  # many calls each; on the other node any of them would find no session
            assert len(np.stack(list(session.upscale(pictures(60))))) == 60
            session.close()
        assert sum(map(sessions, nodes)) == 0


def test_a_node_that_drains_gets_no_new_sessions_and_keeps_its_own(nodes: list[Server], tmp_path: Path) -> None:
    with (
        (tmp_path / "stderr").open("w+") as errors,
        serving(errors, "--drain-timeout", "30", environment=environment(fps=120)) as leaving,
        proxy(tmp_path, [nodes[0].address, leaving.address]) as address,
        Client(address, access=Access(direct=False)) as client,
    ):
        opened = [client.open_session(32, 24, scale=2) for _ in range(8)]
        staying = sessions(leaving)
        assert staying > 0
        leaving.process.terminate()
        assert wait_until(lambda: Caller(leaving.address).one(ping=pb.Ping()).pong.draining, 10)
        opened += [client.open_session(32, 24, scale=2) for _ in range(4)]
        assert sessions(leaving) == staying
        for session in opened:
            assert len(np.stack(list(session.upscale(pictures(25))))) == 25
            session.close()
        assert leaving.process.wait(30) == 0


def test_only_the_inference_service_passes(nodes: list[Server], tmp_path: Path) -> None:
    with proxy(tmp_path, [nodes[0].address]) as address, grpc.insecure_channel(address) as channel:
        models = channel.unary_unary(
            "/org.pytorch.serve.grpc.management.ManagementAPIsService/ListModels", bytes, bytes
        )
        with pytest.raises(grpc.RpcError) as refused:
            models(b"", timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_who_asks_too_often_is_told_when_to_come_again_and_the_client_does(nodes: list[Server], tmp_path: Path) -> None:
    with proxy(tmp_path, [nodes[0].address], rate=(6, 6)) as address:
        caller, refused = Caller(address), []
        for _ in range(20):
            try:
                assert caller.one(ping=pb.Ping()).HasField("pong")
            except grpc.RpcError as error:
                refused.append(error)
        assert 10 < len(refused) < 20
        assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        start = time.monotonic()
        with (
            Client(address, access=Access(direct=False)) as client,  # from here on as fast as it can
            client.open_session(32, 24, scale=2) as session,
        ):
            frames = list(session.upscale(pictures(25 + 8 * 20)))
        assert len(frames) == 25 + 8 * 20
        assert list(session.notes) == []  # it waited; nothing was lost and begun again
        assert time.monotonic() - start > 2  # 23 calls at 6 a second, after a burst that was used up


def test_mutual_tls(nodes: list[Server], tmp_path: Path) -> None:
    def signed(name: str) -> tuple[bytes, bytes]:
        key, certificate = tmp_path / f"{name}.key", tmp_path / f"{name}.pem"
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}"]
        names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
        subprocess.run([*new, *names], check=True, capture_output=True)
        return key.read_bytes(), certificate.read_bytes()

    _, server_certificate = signed("proxy")
    known, unknown = signed("clients-ca"), signed("stranger")
    message = pb.StreamRequest(protocol_version=1, ping=pb.Ping()).SerializeToString()
    with proxy(tmp_path, [nodes[0].address], "tls.conf") as address:
        for key, certificate in (known, unknown):
            credentials = grpc.ssl_channel_credentials(server_certificate, key, certificate)
            with grpc.secure_channel(address, credentials) as channel:
                stub = InferenceStub(channel)
                if certificate == known[1]:
                    assert stub.predictions(request("flashvsr0", message), timeout=20).prediction
                else:
                    with pytest.raises(grpc.RpcError):
                        stub.predictions(request("flashvsr0", message), timeout=20)


def test_clients_go_on_when_a_node_is_killed(nodes: list[Server], tmp_path: Path) -> None:
    with proxy(tmp_path, [node.address for node in nodes]) as address:
        viewers: list[Viewer] = []
        while len(viewers) < VIEWERS or sessions(nodes[1]) == 0:  # until somebody is on the one that goes
            assert len(viewers) < 4 * VIEWERS
            viewers.append(Viewer(address))
            viewers[-1].start()
            assert wait_until(lambda: sum(map(sessions, nodes)) > 0, 20)
        kill(nodes[1])
        for viewer in viewers:
            viewer.join(120)
        assert all(viewer.clips == [FRAMES] * CLIPS for viewer in viewers), [viewer.lost for viewer in viewers]
        lost = [viewer for viewer in viewers if viewer.lost]
        assert lost  # or the node was killed when nobody was on it
        with Client(address, access=Access(direct=False)) as newcomer:
            assert newcomer.ping()
        kill(nodes[0])
        with pytest.raises(ServerUnreachableError), Client(address, access=Access(direct=False)) as nobody:
            nobody.ping()


def kill(node: Server) -> None:
    """As a machine that loses its power does it: all at once, without a goodbye."""
    family = [node.java, *node.java.children(recursive=True)]
    os.kill(node.process.pid, 9)
    node.process.wait(10)
    assert wait_until(lambda: not any(process.is_running() and process.status() != "zombie" for process in family), 10)
