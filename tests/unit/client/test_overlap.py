"""Films of one command that share engines: the next begins as one leaves an engine free, and each is its own."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest
from flashvsr_client import Client, LocalOptions, Segmentation
from flashvsr_client.cli import place_options
from flashvsr_client.cli.main import run
from flashvsr_client.cluster.fleet import RayFleet
from flashvsr_client.cluster.options import ClusterOptions
from flashvsr_client.cluster.placement import Node
from flashvsr_client.local_workers import MakeTransport
from flashvsr_client.pool import Pool
from flashvsr_client.segment_run import Stopped
from flashvsr_client.testing import MockTransport
from flashvsr_client.transport.base import StreamSpec
from flashvsr_client.transport.inprocess import InProcessStream

from tests.cluster.waiting import until
from tests.unit.client.fake_cluster import FakeConnection

MakeClip = Callable[..., Path]
NODES = [Node("a", "node-a", 4, 0), Node("b", "node-b", 4, 0)]
SECONDS = 20
FIRST, SECOND = 32, 48
"""Widths of the films, by which their streams are known."""


class Gated(MockTransport):
    """Lets the last segment of the first film wait until the second one has an engine."""

    begun = Event()
    waited: bool | None = None

    def open(self, spec: StreamSpec) -> InProcessStream:
        if spec.width == SECOND:
            Gated.begun.set()
        elif spec.first_frame > 20:
            Gated.waited = Gated.begun.wait(SECONDS)
        return super().open(spec)


@pytest.fixture
def on_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], MockTransport]], FakeConnection]]:
    """Have `--ray` mean a cluster in this process."""
    with ExitStack() as stack:

        def start(kind: Callable[[], MockTransport]) -> FakeConnection:
            connection = FakeConnection(NODES)

            def engine(_: LocalOptions) -> MakeTransport:
                return kind

            class Faked:
                @staticmethod
                def on_cluster(options: ClusterOptions, local: LocalOptions, **_: object) -> Client:
                    client = stack.enter_context(Client(transport=()))
                    client._fleet = RayFleet(local, options, connecting=lambda _: connection, engine=engine)
                    return client

            monkeypatch.setattr(place_options, "Client", Faked)
            return connection

        yield start


def command(output: Path, *sources: Path, more: str = "") -> list[str]:
    """Three engines: the last segment of a film may take two, once one of them is slow."""
    words = ["upscale", *map(str, sources), "-o", str(output), "--scale", "2", "--segment-frames", "30"]
    return [*words, "--ray", "head:6379", "--ray-actors", "3", *more.split()]


def alone(source: Path, target: Path) -> bytes:
    Client(transport=MockTransport()).upscale_file(source, target, 2, segmentation=Segmentation(frames=30))
    return target.read_bytes()


def test_the_next_film_runs_while_the_last_segment_of_one_does(
    make_clip: MakeClip, tmp_path: Path, on_cluster: Callable[..., FakeConnection], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = make_clip("a.mp4", 90, FIRST), make_clip("b [2].mp4", 90, SECOND)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    expected = [alone(path, tmp_path / f"one-{path.name}") for path in (first, second)]
    Gated.begun.clear()
    connection = on_cluster(Gated)
    out = tmp_path / "out"
    assert run(command(out, first, broken, second, more="--progress json")) == 3
    assert Gated.waited
    assert [(out / path.name).read_bytes() for path in (first, second)] == expected
    lines = capsys.readouterr().err.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    told = {path: [e for e in events if e["input"] == str(path)] for path in (first, broken, second)}
    assert [told[path][-1]["complete"] for path in told] == [True, False, True]
    assert [told[path][0] for path in (first, second)] == [
        {"event": "start", "input": str(path), "frames": 90} for path in (first, second)
    ]
    assert [line.split(":")[0] for line in lines if not line.startswith("{")] == [
        f"done   {out}/a.mp4",
        f"failed {broken}",
        f"done   {out}/b [2].mp4",
    ]
    assert connection.closed == 1


def test_an_interruption_ends_all_of_them_and_each_goes_on(
    make_clip: MakeClip, tmp_path: Path, on_cluster: Callable[..., FakeConnection], capsys: pytest.CaptureFixture[str]
) -> None:
    films = [make_clip(f"{width}.mp4", 90, width) for width in (FIRST, SECOND)]
    expected = [alone(path, tmp_path / f"one-{path.name}") for path in films]

    class Interrupted(MockTransport):
        """Asks for the end once both films are at work; nothing ends by itself before."""

        widths: set[int] = set()  # noqa: RUF012 - of this test
        asked = Event()

        def open(self, spec: StreamSpec) -> InProcessStream:
            if spec.first_frame > 20 or spec.width == SECOND:
                Interrupted.widths.add(spec.width)
                if len(Interrupted.widths) == 2 and not Interrupted.asked.is_set():
                    os.kill(os.getpid(), signal.SIGINT)
                    Interrupted.asked.set()
                assert Interrupted.asked.wait(SECONDS)
                Event().wait(1)
            return super().open(spec)

    on_cluster(Interrupted)
    out = tmp_path / "out"
    late = make_clip("late.mp4", 60)
    assert run(command(out, *films, late)) == 130
    lines = capsys.readouterr().err.splitlines()
    failed = [line for line in lines if line.startswith("failed")]
    assert [line.split(":")[0] for line in failed] == [f"failed {path}" for path in films], "the third never began"
    assert "of 3 segments are kept: go on with " in failed[0]
    assert list(out.glob("*.mp4")) == []
    on_cluster(MockTransport)
    assert run(command(out, *films, more="--resume")) == 0
    assert [(out / path.name).read_bytes() for path in films] == expected


def test_engines_go_to_the_earliest_film_that_waits() -> None:
    pool, stop, order = Pool(["only"]), Event(), list[int]()

    def need(film: int) -> None:
        with pool.lease(None, film, stop):
            order.append(film)

    waiting = [Thread(target=need, args=(film,)) for film in (3, 1, 2)]
    with pool.lease(None, 0, stop):
        for place, thread in enumerate(waiting, 1):
            thread.start()
            assert until(SECONDS, lambda place=place: len(pool._waiting) == place)  # type: ignore[misc]
    for thread in waiting:
        thread.join()
    assert order == [1, 2, 3]
    stop.set()
    with pool.lease(None, 0, stop), pytest.raises(Stopped), pool.lease(None, 1, stop):
        pass
