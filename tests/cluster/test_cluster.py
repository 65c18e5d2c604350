"""Films over a real cluster of two nodes: the same files, whatever dies meanwhile, and nothing left."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
from flashvsr_client import (
    Client,
    EngineUnavailableError,
    LocalOptions,
    Segmentation,
    ServerBusyError,
    ServerUnreachableError,
    UsageError,
)
from flashvsr_client.cli.main import run
from flashvsr_client.cluster.fleet import RayFleet
from flashvsr_client.cluster.options import ClusterOptions
from flashvsr_client.local_workers import MakeTransport
from flashvsr_client.pipeline import Order, upscale_file
from flashvsr_client.progress import Silent
from flashvsr_client.testing import MockTransport

from tests.cluster.clusters import TwoNodes, two_nodes
from tests.cluster.waiting import until
from tests.unit.client.clips import encoded, numbered

pytest.importorskip("ray", reason="ray is not installed: pip install './client[ray]'")
CUT = Segmentation(frames=30)
FRAMES = 180
DRIVER = """
import sys
from pathlib import Path
from tests.cluster.test_cluster import CUT, slow_fleet
from flashvsr_client import JobOptions
from flashvsr_client.pipeline import Order, upscale_file
source, target, scratch = map(Path, sys.argv[2:])
order = Order(2, segmentation=CUT, job=JobOptions(resume=True))
print(upscale_file(slow_fleet(sys.argv[1], "sent", scratch), source, target, order))
"""


def slow(options: LocalOptions) -> MakeTransport:
    """An engine that only repeats pixels, and takes its time."""
    return partial(MockTransport, delay=0.1)


def slow_fleet(address: str, files: str, scratch: Path) -> RayFleet:
    return RayFleet(LocalOptions(), ClusterOptions(address, cpus=1, files=files, scratch=str(scratch)), engine=slow)


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    with two_nodes() as started:
        yield started


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A film, and what one engine on this machine makes of it."""
    folder = tmp_path_factory.mktemp("film")
    source = encoded(folder / "in.mp4", numbered(FRAMES, 32, 24))
    with Client(transport=MockTransport()) as client:
        client.upscale_file(source, folder / "out.mp4", 2, segmentation=CUT)
    return source, (folder / "out.mp4").read_bytes()


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where nodes keep what they do not share."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


class Killing(Silent):
    """Calls something once so many frames are done."""

    def __init__(self, after: int, kill: object) -> None:
        self._left = after
        self._kill = kill

    def advance(self) -> None:
        self._left -= 1
        if self._left == 0:
            assert callable(self._kill)
            self._kill()


def test_films_go_in_place_and_sent_on_warm_engines_and_nothing_is_left(
    cluster: TwoNodes, film: tuple[Path, bytes], tmp_path: Path, scratch: Path
) -> None:
    source, expected = film
    for files in ("sent", "shared"):
        fleet = slow_fleet(cluster.address, files, scratch)
        try:
            targets = [tmp_path / f"{files}{number}.mp4" for number in (1, 2)]
            order = Order(2, segmentation=CUT)
            others = [Thread(target=upscale_file, args=(fleet, source, target, order)) for target in targets]
            for other in others:
                other.start()
            for other in others:
                other.join()
            assert [target.read_bytes() == expected for target in targets] == [True, True]
            assert len(cluster.engines()) == 2
        finally:
            fleet.close()
        assert until(10, lambda: not cluster.engines())
    assert until(5, lambda: not list(scratch.iterdir()))


def test_a_node_that_is_killed_costs_a_try_at_a_segment(
    cluster: TwoNodes, film: tuple[Path, bytes], tmp_path: Path, scratch: Path
) -> None:
    source, expected = film
    fleet = slow_fleet(cluster.address, "sent", scratch)
    try:
        killing = Killing(FRAMES // 4, cluster.kill)
        report = upscale_file(fleet, source, tmp_path / "out.mp4", Order(2, segmentation=CUT, progress=killing))
    finally:
        fleet.close()
        cluster.add()
    assert (tmp_path / "out.mp4").read_bytes() == expected
    assert report.frames == FRAMES
    assert any("is gone" in note for note in report.notes)
    assert until(5, lambda: not list(scratch.iterdir()))


def test_a_driver_that_is_killed_leaves_nothing_but_a_job_that_goes_on(
    cluster: TwoNodes, film: tuple[Path, bytes], tmp_path: Path, scratch: Path
) -> None:
    source, expected = film
    target = tmp_path / "out.mp4"
    words = [sys.executable, "-c", DRIVER, cluster.address, str(source), str(target), str(scratch)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as driver:
        assert until(30, lambda: (tmp_path / ".out.mp4.flashvsr" / "segment-00001").exists())
        driver.send_signal(signal.SIGKILL)
    assert until(10, lambda: not cluster.engines())
    assert until(5, lambda: not list(scratch.iterdir()))
    assert not target.exists()
    again = subprocess.run(words, check=True, capture_output=True, text=True)
    assert "of them from before" in again.stdout
    assert again.stdout.count("\n") == 1, "Ray is quiet"
    assert target.read_bytes() == expected


def test_what_a_cluster_cannot_do_is_a_line(cluster: TwoNodes, film: tuple[Path, bytes], tmp_path: Path) -> None:
    source, _ = film

    def refused(options: ClusterOptions, engine: LocalOptions, kind: type[Exception], text: str) -> None:
        with pytest.raises(kind, match=text), Client.on_cluster(options, engine) as client:
            client.upscale_file(source, tmp_path / "out.mp4", 2, segmentation=CUT)

    address = cluster.address
    gpu = LocalOptions(device="cuda")
    refused(ClusterOptions(address), gpu, EngineUnavailableError, r"has no GPU \(.* 1 core, 0 GPUs")
    room = ClusterOptions(address, cpus=64, wait=1)
    refused(room, LocalOptions(), ServerBusyError, "no room .* within 1 s: each asks for 64 cores, and it has")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.slow
def test_the_command_with_the_real_engine(cluster: TwoNodes, tmp_path: Path) -> None:
    """One thread everywhere, so that sums are the same."""
    import torch

    source = encoded(tmp_path / "in.mp4", numbered(40, 32, 24))
    words = ["upscale", str(source), "--scale", "2", "--segment-frames", "20", "--precision", "fp32", "-q"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert run([*words, "-o", str(tmp_path / "here.mp4"), "--local", "--device", "cpu"]) == 0
    finally:
        torch.set_num_threads(threads)
    assert run([*words, "-o", str(tmp_path / "there.mp4"), "--ray", cluster.address, "--ray-cpus", "1"]) == 0
    assert (tmp_path / "there.mp4").read_bytes() == (tmp_path / "here.mp4").read_bytes()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_no_cluster_at_the_address(address: str, film: tuple[Path, bytes], tmp_path: Path) -> None:
    with (
        pytest.raises(ServerUnreachableError, match=r"no Ray cluster answers at .*: start one with `ray start --head`"),
        Client.on_cluster(ClusterOptions(address)) as client,
    ):
        client.upscale_file(film[0], tmp_path / "out.mp4", 2)


def test_an_address_that_is_none(film: tuple[Path, bytes], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give auto, HOST:PORT"), Client.on_cluster(ClusterOptions("here")) as client:
        client.upscale_file(film[0], tmp_path / "out.mp4", 2)
