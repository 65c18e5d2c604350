"""Jobs in segments: nothing is lost, nothing is doubled, and what was interrupted ends as if it had not been."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from flashvsr_client import (
    Client,
    Encoding,
    Interrupt,
    JobInterruptedError,
    JobOptions,
    OutputError,
    RetryPolicy,
    Segmentation,
    ServerError,
    ServerUnreachableError,
    SessionLostError,
    UsageError,
)
from flashvsr_client.executors import StreamWorker
from flashvsr_client.progress import Silent
from flashvsr_client.segment_run import SegmentResult, Stopped, Work
from flashvsr_client.segments import Segment
from flashvsr_client.testing import Fault, MockTransport
from flashvsr_client.transport.base import Health

MakeClip = Callable[..., Path]
QUICK = RetryPolicy(attempts=3, first_delay=0.01, max_delay=0.02)
NAME = ".out.mp4.flashvsr"
CUT = Segmentation(frames=40, overlap=4, warm_up=24)


def job(*, resume: bool = False) -> JobOptions:
    return JobOptions(resume=resume, retry=QUICK)


def means(path: Path) -> npt.NDArray[np.float64]:
    """A number for each frame; the clips' frames differ in it."""
    with av.open(str(path)) as container:
        return np.array([frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)])


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [(frame.pts or 0) * (frame.time_base or Fraction(1)) for frame in container.decode(video=0)]


def upscaled(
    source: Path,
    target: Path,
    transport: MockTransport | Sequence[MockTransport] | None = None,
    segmentation: Segmentation = CUT,
    **options: object,
) -> bytes:
    client = Client(transport=transport or MockTransport())
    client.upscale_file(source, target, 2, segmentation=segmentation, **({"job": job()} | options))  # type: ignore[arg-type]
    return target.read_bytes()


class Asking(Silent):
    """Asks for an end after so many frames."""

    def __init__(self, after: int) -> None:
        self.interrupt = Interrupt()
        self._left = after

    def advance(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.interrupt.asked.set()


def interrupted(source: Path, target: Path, after: int, **options: object) -> None:
    asking = Asking(after)
    with pytest.raises(JobInterruptedError, match="go on with"):
        upscaled(source, target, progress=asking, interrupt=asking.interrupt, **options)  # type: ignore[arg-type]


def test_a_film_in_segments_has_the_frames_and_times_of_its_source(make_clip: MakeClip, tmp_path: Path) -> None:
    """Frames of uneven length, whatever the segments; with the mock each frame is its source's, so none is frozen."""
    steps = [1001, 3003, 1, 9009, 500, 3003, 7, 12345] * 20
    source = make_clip(pts=list(accumulate(steps, initial=0)), time_base=Fraction(1, 90000), audio="aac")
    whole = means(source)
    for number, cut in enumerate([CUT, Segmentation(10, 0, 0), Segmentation(17, 6, 30), Segmentation(100, 2)]):
        target = tmp_path / f"out{number}.mp4"
        upscaled(source, target, segmentation=cut)
        assert times(target) == times(source)
        assert np.abs(means(target) - whole).max() < 2
        with av.open(str(target)) as container:
            assert len(container.streams.audio) == 1
            stamps = [packet.dts for packet in container.demux(video=0) if packet.dts is not None]
            assert stamps == sorted(set(stamps))
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_612_frames_for_two_workers_all_arrive(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(frames=612)
    two = [MockTransport(), MockTransport()]
    upscaled(source, tmp_path / "out.mp4", two, Segmentation(100, 2))
    assert times(tmp_path / "out.mp4") == times(source)
    assert np.abs(means(tmp_path / "out.mp4") - means(source)).max() < 2
    assert sum(transport.opened for transport in two) == 7
    assert [transport.opened for transport in two] == [transport.closed for transport in two]


def test_a_short_film_at_one_endpoint_is_one_session(make_clip: MakeClip, tmp_path: Path) -> None:
    transport = MockTransport()
    upscaled(make_clip(frames=300), tmp_path / "out.mp4", transport, Segmentation())
    assert transport.places == [0]


def test_who_makes_the_segments_does_not_change_the_file(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(frames=200)
    alone = upscaled(source, tmp_path / "alone.mp4")
    assert upscaled(source, tmp_path / "three.mp4", [MockTransport() for _ in range(3)]) == alone
    assert upscaled(source, tmp_path / "server.mp4", MockTransport(engines=3)) == alone
    failing = MockTransport(faults=[Fault(SessionLostError("gone"), after=30, times=2)])
    assert upscaled(source, tmp_path / "failing.mp4", failing) == alone
    dying = MockTransport(error=ServerUnreachableError("nobody there"), error_after=60)
    assert upscaled(source, tmp_path / "dying.mp4", [dying, MockTransport(delay=0.02)]) == alone
    assert upscaled(source, tmp_path / "busy.mp4", MockTransport(busy=2)) == alone


def test_the_report_says_what_was_made_good(make_clip: MakeClip, tmp_path: Path) -> None:
    transport = MockTransport(faults=[Fault(SessionLostError("the worker died"), after=30)])
    report = Client(transport=transport).upscale_file(
        make_clip(frames=100), tmp_path / "out.mp4", 2, segmentation=CUT, job=job()
    )
    assert report.segments == 3
    assert report.notes == ("segment 0: engine failed (the worker died); it is made again",)
    assert "100 frames of 64x48 yuv420p in 3 segments;" in str(report)


class Away(MockTransport):
    """An endpoint that nobody answers at."""

    def ping(self) -> Sequence[Health]:
        raise ServerUnreachableError("no server answers here")

    def open(self, spec: object) -> None:  # type: ignore[override]
        raise ServerUnreachableError("no server answers here")


def test_an_endpoint_that_is_away_is_done_without(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(frames=200)
    assert upscaled(source, tmp_path / "a.mp4", [Away(), MockTransport(delay=0.01)]) == upscaled(
        source, tmp_path / "b.mp4"
    )
    with pytest.raises(ServerUnreachableError):
        upscaled(source, tmp_path / "c.mp4", [Away(), Away()])


def test_endpoints_of_different_models_are_refused(make_clip: MakeClip, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="different models, 'mock' at engine 1 and 'other' at engine 2"):
        upscaled(make_clip(), tmp_path / "out.mp4", [MockTransport(), MockTransport(model="other")])


def test_a_slow_endpoint_loses_its_segment(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(frames=200)
    slow = MockTransport(delay=10.0)
    report = Client(transport=[MockTransport(), slow]).upscale_file(
        source, tmp_path / "out.mp4", 2, segmentation=CUT, job=job()
    )
    assert any("engine 2 was slow, engine 1 made it" in note for note in report.notes)
    assert np.abs(means(tmp_path / "out.mp4") - means(source)).max() < 2


def test_a_worker_that_gives_up_unasked_costs_a_try(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_clip(frames=100)
    whole = upscaled(source, tmp_path / "whole.mp4")
    run, given_up = StreamWorker.run, list[Segment]()

    def once(self: StreamWorker, work: Work, segment: Segment, *others: Any) -> SegmentResult:
        if not given_up:
            given_up.append(segment)
            raise Stopped
        return run(self, work, segment, *others)

    monkeypatch.setattr(StreamWorker, "run", once)
    report = Client(transport=MockTransport()).upscale_file(
        source, tmp_path / "out.mp4", 2, segmentation=CUT, job=job()
    )
    assert (tmp_path / "out.mp4").read_bytes() == whole
    assert any("though nobody asked it to" in note for note in report.notes)


@pytest.mark.parametrize("after", [1, 60, 100, 199])
def test_a_resumed_job_gives_the_file_of_an_uninterrupted_one(make_clip: MakeClip, tmp_path: Path, after: int) -> None:
    source, target = make_clip(frames=200, audio="aac"), tmp_path / "out.mp4"
    expected = upscaled(source, tmp_path / "expected.mp4")
    asking = Asking(after)
    with pytest.raises(JobInterruptedError):
        upscaled(source, target, progress=asking, interrupt=asking.interrupt)
    assert not target.exists()
    assert (tmp_path / NAME).exists() == (after > 40)
    transport = MockTransport()
    assert upscaled(source, target, transport, job=job(resume=True)) == expected
    assert len(transport.places) == 5 - after // 45
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", "out.mp4", "expected.mp4"}


def test_an_unfinished_job_is_neither_overwritten_nor_taken_for_another(make_clip: MakeClip, tmp_path: Path) -> None:
    source, target = make_clip(frames=200), tmp_path / "out.mp4"
    interrupted(source, target, 100)
    with pytest.raises(OutputError, match="unfinished job, 2 of 5 segments: go on with --resume"):
        upscaled(source, target)
    going_on = job(resume=True)
    with pytest.raises(UsageError, match="it has crf unset, not 20; run it with"):
        upscaled(source, target, encoding=Encoding(crf=20), job=going_on)
    with pytest.raises(UsageError, match="model mock, not other"):
        upscaled(source, target, MockTransport(model="other"), job=going_on)
    with pytest.raises(UsageError, match="segment frames 40, not 50"):
        upscaled(source, target, segmentation=Segmentation(50), job=going_on)
    other = make_clip("other.mp4", frames=199)
    other.replace(source)
    with pytest.raises(UsageError, match="another input"):
        upscaled(source, target, job=going_on)


def test_what_is_damaged_is_made_again(make_clip: MakeClip, tmp_path: Path) -> None:
    source, target = make_clip(frames=200), tmp_path / "out.mp4"
    expected = upscaled(source, tmp_path / "expected.mp4")
    for name, opened in (("segment-00000/body.nut", 4), ("segment-00001/tail.npy", 4), ("seam-00000.nut", 5)):
        interrupted(source, target, 100)
        victim = tmp_path / NAME / name
        victim.unlink() if name.endswith("npy") else victim.write_bytes(victim.read_bytes()[:100])
        transport = MockTransport()
        assert upscaled(source, target, transport, job=job(resume=True)) == expected
        assert transport.opened == opened
        target.unlink()


def test_a_journal_of_another_version_or_a_damaged_one_is_told(make_clip: MakeClip, tmp_path: Path) -> None:
    source, target = make_clip(frames=200), tmp_path / "out.mp4"
    interrupted(source, target, 100)
    path = tmp_path / NAME / "journal.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"version": 2}))
    with pytest.raises(UsageError, match="version 2, this program writes 1"):
        upscaled(source, target, job=job(resume=True))
    path.write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        upscaled(source, target, job=job(resume=True))


def test_a_segment_that_cannot_be_made_ends_the_job_and_keeps_the_others(make_clip: MakeClip, tmp_path: Path) -> None:
    source, target = make_clip(frames=200), tmp_path / "out.mp4"

    class Hard(MockTransport):
        """Fails in the fourth segment, always."""

        def open(self, spec):  # type: ignore[no-untyped-def]
            if spec.first_frame == 88:
                raise ServerError("it does not work")
            return super().open(spec)

    with pytest.raises(ServerError, match=r"it does not work; 3 of 5 segments are kept: go on with `flashvsr upscale"):
        upscaled(source, target, Hard())
    assert upscaled(source, target, job=job(resume=True)) == upscaled(source, tmp_path / "expected.mp4")
