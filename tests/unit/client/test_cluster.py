"""What the driver of a cluster does, with a cluster in this process: where things go, what is said when they fail."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from flashvsr_client import (
    EngineUnavailableError,
    JobOptions,
    LocalOptions,
    OutputError,
    RetryPolicy,
    Segmentation,
    ServerError,
    SessionLostError,
    UsageError,
)
from flashvsr_client.cli.main import run
from flashvsr_client.cluster import node_actor
from flashvsr_client.cluster.fleet import RayFleet
from flashvsr_client.cluster.options import ClusterOptions
from flashvsr_client.cluster.placement import Node, Placement, place
from flashvsr_client.cluster.scratch import Scratch
from flashvsr_client.cluster.watch import Watch
from flashvsr_client.executors import FleetLostError
from flashvsr_client.local_workers import MakeTransport
from flashvsr_client.pipeline import Order, upscale_file
from flashvsr_client.report import Report
from flashvsr_client.segment_run import run_segment
from flashvsr_client.testing import MockTransport

from tests.cluster.waiting import until
from tests.unit.client.fake_cluster import FakeConnection

MakeClip = Callable[..., Path]
NODES = [Node("a", "node-a", 8, 0), Node("b", "node-b", 4, 0)]
CUT = Segmentation(frames=30)
QUICK = RetryPolicy(attempts=3, first_delay=0.01, max_delay=0.02)


def mock(options: LocalOptions) -> MakeTransport:
    return partial(MockTransport, delay=0.01)


def cluster_of(*nodes: Node, **options: object) -> tuple[RayFleet, FakeConnection]:
    connection = FakeConnection(nodes or NODES)
    settings = ClusterOptions("head:6379", **({"actors": 2} | options))  # type: ignore[arg-type]
    return RayFleet(LocalOptions(), settings, connecting=lambda _: connection, engine=mock), connection


def made(fleet: RayFleet, source: Path, target: Path) -> Report:
    return upscale_file(fleet, source, target, Order(2, segmentation=CUT, job=JobOptions(retry=QUICK)))


@pytest.mark.parametrize(
    ("nodes", "device", "options", "expected"),
    [
        ([Node("a", "a", 8, 2), Node("b", "b", 4, 1)], "auto", {}, Placement(3, "cuda", 1, 1)),
        ([Node("a", "a", 8, 2), Node("b", "b", 4, 1)], "cpu", {}, Placement(3, "cpu", 4, 0)),
        ([Node("a", "a", 8, 2)], "cuda", {"actors": 1, "cpus": 3}, Placement(1, "cuda", 3, 1)),
        (NODES, "auto", {}, Placement(3, "cpu", 4, 0)),
        (NODES, "auto", {"cpus": 8}, Placement(1, "cpu", 8, 0)),
        ([Node("a", "a", 2, 0)], "auto", {}, Placement(1, "cpu", 2, 0)),
        ([], "auto", {}, Placement(1, "cpu", 1, 0)),
        (NODES, "cuda", {"actors": 5}, Placement(5, "cuda", 1, 1)),
    ],
)
def test_engines_go_where_there_is_room(
    nodes: list[Node], device: str, options: dict[str, int], expected: Placement
) -> None:
    assert place(nodes, device, ClusterOptions(**options)) == expected  # type: ignore[arg-type]


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(EngineUnavailableError, match=r"at head:1 has no GPU \(node-a: 8 cores, 0 GPUs; node-b"):
        place(NODES, "cuda", ClusterOptions("head:1"))
    with pytest.raises(UsageError, match="device 'cuda:1' on a cluster: give auto, cpu, cuda; Ray chooses"):
        place(NODES, "cuda:1", ClusterOptions())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"address": ""}, "give auto, HOST:PORT"),
        ({"actors": 0}, "ray actors 0: give 1 or more"),
        ({"cpus": -1}, "ray cpus -1"),
        ({"wait": -1.0}, "ray wait -1 s"),
        ({"files": "copied"}, "ray files 'copied': give auto, shared, sent"),
    ],
)
def test_options_are_checked(options: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        ClusterOptions(**options)  # type: ignore[arg-type]


@pytest.fixture
def expected(make_clip: MakeClip, tmp_path: Path) -> tuple[Path, bytes]:
    source = make_clip(frames=100)
    from flashvsr_client import Client

    Client(transport=MockTransport()).upscale_file(source, tmp_path / "one.mp4", 2, segmentation=CUT)
    return source, (tmp_path / "one.mp4").read_bytes()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nodes that see no file of this machine but their scratch folder."""
    monkeypatch.setattr(node_actor.NodeActor, "sees", lambda *_: False)
    monkeypatch.setattr(node_actor.NodeActor, "shares", lambda *_: False)
    folder = tmp_path / "nodes"
    folder.mkdir()
    return folder


def test_what_nodes_see_is_not_sent(expected: tuple[Path, bytes], tmp_path: Path) -> None:
    source, whole = expected
    fleet, connection = cluster_of(files="shared")
    made(fleet, source, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == whole
    calls = {call for keeper in connection.keepers.values() for call in keeper.calls}
    assert calls == {"sees", "shares"}
    assert "read" not in {call for engine in connection.engines for call in engine.calls}
    fleet.close()
    fleet.close()
    assert connection.closed == 1


def test_what_they_do_not_see_is_sent_once_to_each(
    expected: tuple[Path, bytes], tmp_path: Path, elsewhere: Path
) -> None:
    source, whole = expected
    fleet, connection = cluster_of(actors=4, scratch=str(elsewhere))
    for times, target in enumerate((tmp_path / "out.mp4", tmp_path / "again.mp4"), 1):
        made(fleet, source, target)
        assert target.read_bytes() == whole
        assert [keeper.calls.count("take") for keeper in connection.keepers.values()] == [times, times]
        assert until(5, lambda: not list(elsewhere.glob("*/*.mp4"))), "a node's disk holds what is being made"
    assert len(connection.engines) == 4


def test_an_address_is_fetched_by_the_nodes(expected: tuple[Path, bytes], tmp_path: Path, elsewhere: Path) -> None:
    pytest.importorskip("fsspec")
    source, whole = expected
    connection = FakeConnection(NODES)
    options = ClusterOptions("head:6379", actors=2, scratch=str(elsewhere))
    fleet = RayFleet(
        LocalOptions(),
        options,
        address_of=lambda path: f"file://{path}",
        connecting=lambda _: connection,
        engine=mock,
    )
    made(fleet, source, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == whole
    calls = [keeper.calls for keeper in connection.keepers.values()]
    assert all("fetch" in told and "take" not in told for told in calls)


def test_sharing_that_is_asked_for_is_checked_before_any_work(
    expected: tuple[Path, bytes], tmp_path: Path, elsewhere: Path
) -> None:
    fleet, connection = cluster_of(files="shared")
    with pytest.raises(UsageError, match=r"node node-. does not see .*in\.mp4.*: mount it there"):
        made(fleet, expected[0], tmp_path / "out.mp4")
    assert "run" not in {call for engine in connection.engines for call in engine.calls}


def test_an_engine_that_is_gone_costs_a_try(expected: tuple[Path, bytes], tmp_path: Path) -> None:
    source, whole = expected
    fleet, connection = cluster_of()
    made(fleet, source, tmp_path / "first.mp4")
    call = connection.engines[0].call

    def dying(method: str, *arguments: object) -> object:
        if method == "run" and "lost" not in connection.engines[0].calls:
            connection.engines[0].calls.append("lost")
            connection.engines[0].lost = 1
        return call(method, *arguments)

    connection.engines[0].call = dying  # type: ignore[method-assign, assignment]
    report = made(fleet, source, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == whole
    assert any("failed (engine 1 is gone); it is made again" in note for note in report.notes)


def test_a_cluster_that_is_lost_ends_the_job_at_once_and_the_next_film_finds_another(
    expected: tuple[Path, bytes], tmp_path: Path
) -> None:
    source, whole = expected
    connections = [FakeConnection(NODES), FakeConnection(NODES)]
    waiting = list(connections)
    options = ClusterOptions("head:6379", actors=1, files="sent")
    fleet = RayFleet(LocalOptions(), options, connecting=lambda _: waiting.pop(0), engine=mock)
    made(fleet, source, tmp_path / "first.mp4")
    engine, runs = connections[0].engines[0], list[str]()

    def dying(method: str, *arguments: object, call: Callable[..., object] = engine.call) -> object:
        if method == "run":
            runs.append(method)
            if len(runs) == 2:
                connections[0].died = "the head died"
                raise FleetLostError("the head died: start it again")
        return call(method, *arguments)

    engine.call = dying  # type: ignore[method-assign, assignment]
    for keeper in connections[0].keepers.values():
        keeper.refused = {"drop": FleetLostError("the head died: start it again")}
    target = tmp_path / "out.mp4"
    with pytest.raises(SessionLostError, match=r"^the head died: start it again; 1 of 4 segments are kept: go on with"):
        made(fleet, source, target)
    assert len(runs) == 2, "no other try"
    order = Order(2, segmentation=CUT, job=JobOptions(resume=True))
    assert upscale_file(fleet, source, target, order).resumed_frames > 0
    assert target.read_bytes() == whole
    assert [connection.closed for connection in connections] == [1, 0]


def test_what_died_is_known_soon() -> None:
    nodes, answering = list(NODES), Event()
    answering.set()

    def ask() -> list[Node]:
        if not answering.is_set():
            raise RuntimeError("no answer")
        return nodes

    watch = Watch(ask, "a", "head:6379", silence=0.2, period=0.01)
    watch.check()
    answering.clear()
    assert until(5, lambda: watch.lost is not None)
    with pytest.raises(
        FleetLostError, match=r"^the head of the Ray cluster at head:6379 has not answered for 0 s: start"
    ):
        watch.check()
    answering.set()
    assert until(5, lambda: watch.lost is None), "a head that was started again in time"
    nodes = NODES[1:]
    assert until(5, lambda: watch.lost == "this machine's node of the Ray cluster at head:6379 died")
    assert watch.nodes == tuple(NODES[1:])
    watch.end()
    other = Watch(lambda: NODES, None, "ray://head:10001", silence=60)
    other.broke("Broken pipe")
    other.end()
    assert other.lost == "the connection to the Ray cluster at ray://head:10001 died (Broken pipe)"


def test_a_stop_that_comes_late_ends_nothing_else(expected: tuple[Path, bytes], tmp_path: Path) -> None:
    source, whole = expected
    fleet, connection = cluster_of()
    made(fleet, source, tmp_path / "first.mp4")
    orders: list[object] = []
    for engine in connection.engines:

        def noting(method: str, *arguments: object, call: Callable[..., object] = engine.call) -> object:
            orders.extend(arguments[:1] if method == "run" else ())
            return call(method, *arguments)

        engine.call = noting  # type: ignore[method-assign, assignment]
    made(fleet, source, tmp_path / "second.mp4")
    assert len(orders) == len(set(orders)) >= 3
    for engine in connection.engines:
        for order in orders:
            engine.call("stop", order).result(5)
    report = made(fleet, source, tmp_path / "third.mp4")
    assert report.notes == ()
    assert (tmp_path / "third.mp4").read_bytes() == whole


def test_a_full_disk_on_a_node_is_said_with_its_name_and_the_others_go_on(
    expected: tuple[Path, bytes], tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, whole = expected
    fleet, _ = cluster_of(scratch=str(elsewhere))
    made(fleet, source, tmp_path / "first.mp4")
    sick = next(path for path in elsewhere.iterdir() if (path / "body.nut").exists())

    def full(*arguments: object) -> object:
        if arguments[3] == sick:
            raise OutputError(f"cannot write {sick} (No space left on device): free some space")
        return run_segment(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("flashvsr_client.cluster.engine_actor.run_segment", full)
    report = made(fleet, source, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == whole
    assert any(": cannot write " in note and "(node node-" in note for note in report.notes)


def test_a_film_that_does_not_fit_a_node(
    expected: tuple[Path, bytes], tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fdopen", full)
    fleet, _ = cluster_of(Node("a", "node-a", 4, 0), actors=1)
    with pytest.raises(ServerError, match=r"node node-a cannot keep in\.mp4: cannot write .*No space left"):
        made(fleet, expected[0], tmp_path / "out.mp4")


def test_nodes_with_other_packages(expected: tuple[Path, bytes], tmp_path: Path) -> None:
    found: list[tuple[dict[str, str | None], str]] = [
        ({"flashvsr-client": "0.0.1"}, "node node-b has flashvsr-client 0.0.1, this machine .*: install the same"),
        ({"flashvsr-engine": None}, "node node-b has no flashvsr-engine: on every node, pip install"),
    ]
    for there, text in found:
        connection = FakeConnection(NODES, {"b": there})
        fleet = RayFleet(LocalOptions(), ClusterOptions(), connecting=lambda _, c=connection: c, engine=mock)  # type: ignore[misc]
        with pytest.raises(UsageError, match=text):
            made(fleet, expected[0], tmp_path / "out.mp4")


def test_an_engine_that_cannot_load_is_left_out_and_all_of_them_are_an_error(
    expected: tuple[Path, bytes], tmp_path: Path
) -> None:
    class Broken(MockTransport):
        def ping(self) -> list[object]:  # type: ignore[override]
            raise EngineUnavailableError("no weights there")

    kinds = iter([Broken, MockTransport, Broken, Broken])
    for well in (True, False):
        connection = FakeConnection(NODES)
        fleet = RayFleet(
            LocalOptions(),
            ClusterOptions(actors=2),
            connecting=lambda _, c=connection: c,  # type: ignore[misc]
            engine=lambda _: next(kinds),
        )
        if well:
            made(fleet, expected[0], tmp_path / "out.mp4")
            assert (tmp_path / "out.mp4").read_bytes() == expected[1]
            assert connection.engines[0].ended == [True]
        else:
            with pytest.raises(EngineUnavailableError, match=r"engine . on the cluster: no weights there"):
                made(fleet, expected[0], tmp_path / "other.mp4")


def test_pictures_are_not_made_in_parts(expected: tuple[Path, bytes], tmp_path: Path) -> None:
    fleet, _ = cluster_of()
    with pytest.raises(OutputError, match="cannot be made in parts by several engines"):
        made(fleet, expected[0], tmp_path / "frames")


def test_a_scratch_folder_goes_when_it_is_closed(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path))
    (scratch.path / "film").write_text("bytes")
    scratch.close()
    assert until(5, lambda: not scratch.path.exists())
    with pytest.raises(OutputError, match="cannot write"):
        Scratch(str(tmp_path / "absent"))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("--ray auto --local", "--ray and --local exclude each other"),
        ("--ray auto --server here:1", "--ray and --server exclude each other"),
        ("--ray auto --devices all", "--ray and --devices exclude each other"),
        ("--ray auto --plan", "--ray and --plan exclude each other"),
        ("--ray-actors 2", "--ray-actors: only of a cluster; give --ray ADDRESS too"),
        ("--ray auto --ray-cpus 0", "ray cpus 0: give 1 or more"),
    ],
)
def test_options_that_exclude_each_other(
    make_clip: MakeClip, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, text: str
) -> None:
    assert run(["upscale", str(make_clip()), "-o", str(tmp_path / "out.mp4"), *words.split()]) == 2
    assert text in capsys.readouterr().err
