"""Films at addresses of a real S3 protocol: moto's server on loopback, found as users say it, by AWS_ENDPOINT_URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flashvsr_client import Client, LocalOptions, Segmentation
from flashvsr_client.cli import place_options
from flashvsr_client.cli.main import run
from flashvsr_client.cluster import node_actor
from flashvsr_client.cluster.fleet import RayFleet
from flashvsr_client.cluster.options import ClusterOptions
from flashvsr_client.cluster.placement import Node
from flashvsr_client.local_workers import MakeTransport
from flashvsr_client.testing import MockTransport

from tests.unit.client.fake_cluster import FakeConnection

moto = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[s3]' flask-cors")
pytest.importorskip("s3fs", reason="s3fs is not installed: pip install s3fs")
MakeClip = Callable[..., Path]
NODES = [Node("a", "node-a", 4, 0), Node("b", "node-b", 4, 0)]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system of a server that has one bucket, named bucket."""
    import fsspec

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {"ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s"}
    for name, value in (settings | {"DEFAULT_REGION": "us-east-1"}).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    system.mkdir("bucket")
    type(system).clear_instance_cache()
    yield system
    type(system).clear_instance_cache()
    server.stop()


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> FakeConnection:
    """A cluster whose nodes see no file of this machine."""
    connection = FakeConnection(NODES)

    def engine(_: LocalOptions) -> MakeTransport:
        return MockTransport

    class Faked:
        @staticmethod
        def on_cluster(
            options: ClusterOptions, local: LocalOptions, *, address_of: Callable[[Path], str | None]
        ) -> Client:
            client = Client(transport=())
            client._fleet = RayFleet(
                local, options, address_of=address_of, connecting=lambda _: connection, engine=engine
            )
            return client

    monkeypatch.setattr(place_options, "Client", Faked)
    monkeypatch.setattr(node_actor.NodeActor, "sees", lambda *_: False)
    monkeypatch.setattr(node_actor.NodeActor, "shares", lambda *_: False)
    return connection


def test_films_of_a_bucket_are_fetched_by_the_nodes_and_put_back(
    make_clip: MakeClip,
    tmp_path: Path,
    bucket: Any,
    connection: FakeConnection,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ("\u7535 \u5f71 1.mp4", "b.mp4")
    wholes = []
    for name in names:
        source = make_clip(name, 70)
        Client(transport=MockTransport()).upscale_file(
            source, tmp_path / f"one-{name}", 2, segmentation=Segmentation(frames=30)
        )
        wholes.append((tmp_path / f"one-{name}").read_bytes())
        bucket.put(str(source), f"bucket/in/{name}")
    ours = ["--scale", "2", "--segment-frames", "30", "--ray", "head:6379", "--ray-actors", "2"]
    films = [f"s3://bucket/in/{name}" for name in names]
    assert run(["upscale", *films, "-o", "s3://bucket/out/{name}", *ours]) == 0
    assert [bucket.cat(f"bucket/out/{name}") for name in names] == wholes
    assert len(bucket.find("bucket/out")) == 2, "nothing unfinished is left"
    calls = [call for keeper in connection.keepers.values() for call in keeper.calls]
    assert "fetch" in calls
    assert "take" not in calls
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    capsys.readouterr()
    assert run(["upscale", films[1], "-o", "s3://absent/b.mp4", *ours]) == 4
    assert "s3://absent/b.mp4 cannot be written (" in capsys.readouterr().err
    assert not bucket.exists("absent"), "a bucket is nothing that a typing error makes"
