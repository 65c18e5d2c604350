"""Engine processes: the same files as from streams, and a process that dies costs one try at a segment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest
from flashvsr_client import Encoding, Limits, Segmentation, ServerError, SessionLostError
from flashvsr_client.executors import Worker
from flashvsr_client.local_workers import ProcessWorker
from flashvsr_client.media.encode import check_film
from flashvsr_client.media.probe import probe
from flashvsr_client.segment_run import SegmentResult, Stopped, Work, run_segment
from flashvsr_client.segments import cut
from flashvsr_client.testing import MockTransport

MakeClip = Callable[..., Path]
SEGMENTS = cut(100, Segmentation(50))


class Failing(MockTransport):
    def __init__(self) -> None:
        super().__init__(error=ServerError("as the engine says"), error_after=30)


class Dying(MockTransport):
    def check(self, frames_in: int) -> None:
        if frames_in > 40:
            os._exit(3)


class Slow(MockTransport):
    def __init__(self) -> None:
        super().__init__(delay=0.3)


@pytest.fixture
def work(make_clip: MakeClip) -> Work:
    info, encoding = probe(make_clip(frames=100)), Encoding()
    film = check_film(Path("out.mp4"), info, 2 * info.width, 2 * info.height, encoding)
    return Work(info, 2, None, encoding, Limits(), "mock", film)


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[ProcessWorker]:
    worker = ProcessWorker("cpu", request.param)
    yield worker
    worker.close()


def made(worker: Worker, work: Work, folder: Path, stop: Event | None = None) -> tuple[SegmentResult, list[int]]:
    told: list[int] = []
    folder.mkdir(exist_ok=True)
    return worker.run(work, SEGMENTS[1], folder, stop or Event(), told.append), told


@pytest.mark.parametrize("start", [MockTransport], indirect=True)
def test_a_process_makes_what_a_stream_makes(start: ProcessWorker, work: Work, tmp_path: Path) -> None:
    assert start.model() == "mock"
    result, told = made(start, work, tmp_path / "there")
    here = tmp_path / "here"
    here.mkdir()
    assert result == run_segment(MockTransport().open, work, SEGMENTS[1], here, Event(), lambda _: None)
    for name in ("body.nut", "head.npy"):
        assert (here / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    assert told == list(range(1, 1 + SEGMENTS[1].stop - SEGMENTS[1].first))


@pytest.mark.parametrize("start", [Failing], indirect=True)
def test_an_error_there_is_raised_here(start: ProcessWorker, work: Work, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="as the engine says"):
        made(start, work, tmp_path / "out")


@pytest.mark.parametrize("start", [Dying], indirect=True)
def test_a_process_that_dies_is_a_lost_session_and_is_started_again(
    start: ProcessWorker, work: Work, tmp_path: Path
) -> None:
    for _ in range(2):
        with pytest.raises(SessionLostError, match="the engine process on cpu died"):
            made(start, work, tmp_path / "out")
    assert start.model() == "mock"


@pytest.mark.parametrize("start", [Slow], indirect=True)
def test_a_segment_is_given_up_on_request(start: ProcessWorker, work: Work, tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(Stopped):
        made(start, work, tmp_path / "out", stop)
    assert start.model() == "mock"
