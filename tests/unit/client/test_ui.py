"""What is behind the page, without a browser: temporary files, the queue, jobs, visits, what is shown."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import av
import numpy as np
import pytest
from flashvsr_client import (
    Client,
    EngineUnavailableError,
    InputError,
    JobInterruptedError,
    ServerUnreachableError,
    UsageError,
)
from flashvsr_client.config import LocalOptions
from flashvsr_client.interrupt import Interrupt
from flashvsr_client.media.decode import decode
from flashvsr_client.media.probe import probe
from flashvsr_client.report import Report
from flashvsr_client.testing import Fault, MockTransport
from flashvsr_client.ui import view
from flashvsr_client.ui.comparison import Comparison
from flashvsr_client.ui.engines import LocalEngine, ServerEngines
from flashvsr_client.ui.line import Line
from flashvsr_client.ui.meter import Meter
from flashvsr_client.ui.runner import Job, Runner, State, Wish
from flashvsr_client.ui.store import PREFIX, Store
from flashvsr_client.ui.visits import Visits

from tests.unit.client.conftest import MakeClip

if TYPE_CHECKING:
    import gradio as gr


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def engines(transport: MockTransport) -> ServerEngines:
    return ServerEngines("mock", Client(transport=transport))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def uploaded(store: Store, clip: Path, name: str = "hash") -> Path:
    """Put a file where Gradio puts uploads."""
    target = store.root / name / clip.name
    target.parent.mkdir()
    target.write_bytes(clip.read_bytes())
    return target


def left(store: Store) -> list[Path]:
    return [path for path in store.root.glob("*/*") if path.is_file() or path.parent.name == "visits"]


def test_an_interrupt_ends_a_film_of_one_session_at_once(make_clip: MakeClip, tmp_path: Path) -> None:
    transport, interrupt = MockTransport(delay=0.2), Interrupt()
    threading.Timer(0.5, interrupt.asked.set).start()
    with (
        Client(transport=transport) as client,
        pytest.raises(JobInterruptedError, match="interrupted; no output was written"),
    ):
        client.upscale_file(make_clip(frames=400), tmp_path / "out.mp4", interrupt=interrupt)
    assert transport.opened == transport.closed == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_the_folder_is_private_and_goes_and_abandoned_ones_too(tmp_path: Path) -> None:
    abandoned, held, foreign = (tmp_path / f"{PREFIX}{name}" for name in ("killed", "alive", "foreign"))
    for folder in (abandoned, held):
        folder.mkdir()
        (folder / "lock").touch()
    foreign.mkdir()
    handle = os.open(held / "lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    store = Store(tmp_path)
    assert store.root.stat().st_mode & 0o777 == 0o700
    assert (abandoned.exists(), held.exists(), foreign.exists()) == (False, True, True)
    store.new_folder()
    store.close()
    assert not store.root.exists()
    os.close(handle)


def test_an_upload_is_shared_until_the_last_one_leaves(store: Store, make_clip: MakeClip) -> None:
    upload = uploaded(store, make_clip())
    first, second = store.new_folder(), store.new_folder()
    own = store.claim(upload, first)
    assert own.samefile(upload)
    store.claim(upload, second)
    store.drop(first)
    assert upload.exists()
    store.drop(second)
    assert left(store) == []


@pytest.mark.parametrize("name", ["in.mp4", "other.mp4"])
def test_the_same_video_may_be_dropped_again_under_whatever_name(store: Store, make_clip: MakeClip, name: str) -> None:
    visits = Visits(store, Runner(engines(MockTransport())), 60)
    clip = make_clip()
    visits.take("page", uploaded(store, clip))
    again = store.root / "hash" / name  # Gradio's folder is named after the content
    part = store.root / "part"
    part.write_bytes(clip.read_bytes())
    part.replace(again)
    assert visits.take("page", again).path.name == name
    visits.leave("page")
    assert left(store) == []


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "{root}/lock", "{root}/visits/x/in", "{root}/hash/none.mp4", "http://x/y"]
)
def test_only_uploads_can_be_claimed(store: Store, path: str) -> None:
    with pytest.raises(InputError, match="is no upload"):
        store.claim(Path(path.replace("{root}", str(store.root))), store.new_folder())


def test_uploads_that_nobody_claims_are_swept(tmp_path: Path, make_clip: MakeClip) -> None:
    clock = Clock()
    clock.now = time.time()
    store = Store(tmp_path, clock)
    claimed = uploaded(store, make_clip("claimed.mp4"), "one")
    store.claim(claimed, store.new_folder())
    lost, broken = uploaded(store, make_clip("lost.mp4"), "two"), store.root / "tmpabc"
    broken.touch()
    store.sweep()
    assert lost.exists()
    clock.now += 400
    store.sweep()
    assert (claimed.exists(), lost.parent.exists(), broken.exists()) == (True, False, False)


def test_the_line_is_first_come_first_served(tmp_path: Path) -> None:
    line, stop, order = Line(2), threading.Event(), []
    tickets = [line.join() for _ in range(4)]
    assert [line.place(ticket) for ticket in tickets] == [1, 2, 3, 4]
    leave = [threading.Event() for _ in tickets]

    def stay(index: int) -> None:
        with line.turn(tickets[index], stop) as came:
            order.append((index, came))
            leave[index].wait(10)

    threads = [threading.Thread(target=stay, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(order) == 2)
    assert [line.place(ticket) for ticket in tickets] == [0, 0, 1, 2]
    leave[1].set()
    until(lambda: len(order) == 3)
    assert order[2] == (2, True)
    stop.set()
    until(lambda: len(order) == 4)
    assert order[3] == (3, False)
    for event in leave:
        event.set()
    for thread in threads:
        thread.join()


def test_a_meter_tells_frames_fps_and_time_left() -> None:
    clock = Clock()
    meter = Meter(clock)
    assert meter.standing() is None
    meter.start(40)
    first = meter.standing()
    assert first is not None
    assert (first.done, first.fps, first.seconds_left) == (0, 0.0, None)
    for _ in range(10):
        meter.advance()
    clock.now += 5
    standing = meter.standing()
    assert standing is not None
    assert (standing.done, standing.fps, standing.seconds_left) == (10, 2.0, 15.0)
    meter.reset()
    assert meter.standing() is None


def test_jobs_run_one_after_the_other_and_a_cancelled_one_frees_its_session(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    transport = MockTransport(delay=0.3)
    runner = Runner(engines(transport))
    long, short = make_clip("long.mp4", frames=300), make_clip("short.mp4", frames=9)
    first = runner.start(long, tmp_path / "1.mp4", Wish())
    until(lambda: first.state is State.RUNNING)
    second = runner.start(short, tmp_path / "2.mp4", Wish(scale=2))
    third = runner.start(short, tmp_path / "3.mp4", Wish())
    assert (second.state, second.place, third.place) == (State.WAITING, 1, 2)
    third.cancel()
    first.cancel()
    assert all(job.ended.wait(10) for job in (first, second, third))
    assert [job.state for job in (first, second, third)] == [State.CANCELLED, State.DONE, State.CANCELLED]
    assert second.report is not None
    assert (second.report.frames, second.report.width) == (9, 64)
    assert transport.opened == transport.closed == 2
    assert not (tmp_path / "1.mp4").exists()


def test_a_full_server_is_asked_again_and_its_sentence_is_kept(make_clip: MakeClip, tmp_path: Path) -> None:
    runner = Runner(engines(MockTransport(busy=3)), room_seconds=0.1)
    job = runner.start(make_clip(), tmp_path / "out.mp4", Wish())
    until(lambda: job.state is State.NO_ROOM)
    assert "Waiting for room: the mock has no room" in view.progress(job)
    assert job.ended.wait(10)
    assert (job.state, job.error) == (State.DONE, None)

    waiting = Runner(engines(MockTransport(busy=99)), room_seconds=60).start(
        make_clip("b.mp4"), tmp_path / "out_b.mp4", Wish()
    )
    until(lambda: waiting.state is State.NO_ROOM)
    waiting.cancel()
    assert waiting.ended.wait(5)
    assert waiting.state is State.CANCELLED


def test_errors_end_a_job_and_what_is_not_foreseen_too(make_clip: MakeClip, tmp_path: Path) -> None:
    failed = Runner(engines(MockTransport(error=ServerUnreachableError("no server answers at x")))).start(
        make_clip(), tmp_path / "out.mp4", Wish()
    )
    assert failed.ended.wait(10)
    assert (failed.state, str(failed.error)) == (State.FAILED, "no server answers at x")

    class Broken(MockTransport):
        def open(self, spec: object) -> None:  # type: ignore[override]
            raise RuntimeError("a mistake of ours")

    odd = Runner(engines(Broken())).start(make_clip("b.mp4"), tmp_path / "out_b.mp4", Wish())
    assert odd.ended.wait(10)
    assert "the job failed (RuntimeError)" in str(odd.error)


def test_one_local_engine_is_shared_and_changed_for_other_options() -> None:
    made: list[tuple[LocalOptions, Client]] = []

    def make(options: LocalOptions) -> Client:
        made.append((options, Client(transport=MockTransport())))
        return made[-1][1]

    local = LocalEngine(LocalOptions(), make)
    other = replace(LocalOptions(), color_fix="none")
    assert local.client(None) is local.client(LocalOptions())
    assert local.client(other) is made[1][1]
    assert [options for options, _ in made] == [LocalOptions(), other]


def test_a_comparison_shows_the_frames_that_it_names(make_clip: MakeClip, tmp_path: Path) -> None:
    source, result, folder = make_clip(frames=30), tmp_path / "out.mp4", tmp_path / "pictures"
    folder.mkdir()
    with Client(transport=MockTransport()) as client:
        client.upscale_file(source, result, 2)
    comparison = Comparison(source, result, 30, folder)
    made = [frame.picture for frame in decode(probe(result))]
    for number in (17, 3, 29, *range(14)):
        before, after = (_pixels(path) for path in comparison.pair(number))
        assert before.shape == after.shape == (48, 64, 3)
        assert np.abs(after - made[number].astype(int)).mean() < 2
        assert np.abs(before - after).mean() < 6
    assert len(list(folder.iterdir())) == 2 * 12
    with pytest.raises(InputError, match="frame 31: give 1 to 30"):
        comparison.pair(30)


def test_a_number_that_is_no_frame_shows_the_nearest_and_an_emptied_page_nothing(
    store: Store, make_clip: MakeClip
) -> None:
    pytest.importorskip("gradio", reason="the page needs flashvsr-client[ui]")
    from flashvsr_client.ui.actions import Actions

    transport = engines(MockTransport())
    visits = Visits(store, Runner(transport), 60)
    actions, page = Actions(visits, transport), cast("gr.Request", SimpleNamespace(session_hash="page"))

    def shown(number: object) -> list[str]:
        pair, told = actions.frame(number, page)
        assert told == {"__type__": "update"}
        return [Path(one).name for one in pair] if isinstance(pair, tuple) else []

    assert "nothing to compare" in actions.frame(1, page)[1]
    visits.take("page", uploaded(store, make_clip(frames=9)))
    assert shown(1) == []
    assert visits.start("page", Wish(scale=2)).ended.wait(10)
    for number, found in ((9, 9), (99, 9), (0, 1), (-3, 1), (float("nan"), 1)):
        assert shown(number) == [f"{found}-before.jpg", f"{found}-after.jpg"]
    assert shown(None) == shown("") == []
    visits.take("page", uploaded(store, make_clip("next.mp4"), "two"))
    assert shown(1) == []
    visits.leave("page")


def _pixels(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    with av.open(str(path)) as picture:
        return next(picture.decode(video=0)).to_ndarray(format="rgb24").astype(np.int64)


def test_a_visit_has_a_video_a_job_a_result_and_an_end(store: Store, make_clip: MakeClip) -> None:
    clock, transport = Clock(), MockTransport()
    visits = Visits(store, Runner(engines(transport)), keep_seconds=60, clock=clock)
    with pytest.raises(UsageError, match="no video yet"):
        visits.start("page", Wish())
    with pytest.raises(UsageError, match="nothing to compare"):
        visits.compare("page")
    assert visits.take("page", uploaded(store, make_clip("a b.mp4", frames=9))).frames == 9
    job = visits.start("page", Wish(scale=2))
    assert job.ended.wait(10)
    assert job.target.name == "a b_2x.mp4"
    assert visits.compare("page").pair(4)[1].is_file()
    clock.now += 61
    visits.sweep()
    assert left(store) == []
    visits.leave("page")


def test_what_is_no_video_is_remembered_and_told_by_its_name(store: Store, tmp_path: Path) -> None:
    visits = Visits(store, Runner(engines(MockTransport())), 60)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing" * 99)
    with pytest.raises(InputError) as refused:
        visits.take("page", uploaded(store, broken))
    assert visits.told(refused.value).startswith("broken.mp4 cannot be read as a video")
    with pytest.raises(InputError, match="cannot be read"):
        visits.start("page", Wish())
    visits.leave("page")
    assert left(store) == []


def test_leaving_in_mid_job_cancels_and_removes(store: Store, make_clip: MakeClip) -> None:
    transport = MockTransport(delay=0.2)
    visits = Visits(store, Runner(engines(transport)), keep_seconds=0)
    visits.take("page", uploaded(store, make_clip(frames=300)))
    job = visits.start("page", Wish())
    until(lambda: job.state is State.RUNNING)
    with pytest.raises(UsageError, match="is not at its end"):
        visits.start("page", Wish())
    visits.sweep()
    assert not job.interrupt.asked.is_set()
    visits.leave("page")
    until(lambda: left(store) == [])
    assert job.state is State.CANCELLED
    assert transport.opened == transport.closed == 1


def test_a_job_that_failed_half_way_goes_on_with_its_segments(store: Store, make_clip: MakeClip) -> None:
    fault = Fault(EngineUnavailableError("the engine is out of order"), after=520)  # in the second segment
    visits = Visits(store, Runner(engines(MockTransport(faults=[fault]))), 60)
    visits.take("page", uploaded(store, make_clip(frames=1000)))
    job = visits.start("page", Wish(scale=2))
    assert job.ended.wait(30)
    assert str(job.error) == "the engine is out of order; 1 of 2 segments are kept: go on with `Start`"
    again = visits.start("page", Wish(scale=2))
    assert again.ended.wait(30)
    assert again.report is not None
    assert (again.report.frames, again.report.segments) == (1000, 2)
    assert again.report.resumed_frames > 0


def test_what_is_shown_cannot_be_markup(store: Store, make_clip: MakeClip) -> None:
    info = probe(make_clip("<b>&.mp4"))
    assert "&lt;b&gt;&amp;.mp4" in view.facts(info.path.name, info)
    assert "<b>" not in view.message("<b>", error=True)
    film = view.player(Path('/x/a" b<i>.mp4'), "After", 4, 3)
    assert 'src="gradio_api/file=/x/a%22%20b%3Ci%3E.mp4"' in film
    assert "This browser cannot play a&quot; b&lt;i&gt;.mp4" in film
    picture = view.player(Path("/x/a.GIF"), "Before", 4, 3)  # browsers show those, and play them in no video
    assert '<img alt=""' in picture
    assert "<video" not in picture


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (61, "1 min 01 s"), (3599.6, "1 h 00 min"), (7620, "2 h 07 min")],
)
def test_durations_are_said_as_people_do(seconds: float, said: str) -> None:
    assert view.span(seconds) == said


@pytest.mark.parametrize(("count", "said"), [(1 << 31, "2 GiB"), (1536, "1.5 KiB"), (12, "12 bytes")])
def test_sizes_are_said_as_people_do(count: int, said: str) -> None:
    assert view.size(count) == said


def test_one_frame_is_no_frames() -> None:
    done = Report(Path("x"), 1, 128, 96, 10.0, 1.0, "builtin 1.1", "yuv420p", 0)
    assert ">1 frame of 128" in view.report(done)


def test_a_report_says_what_was_made_and_what_went_wrong() -> None:
    done = Report(Path("x"), 40, 128, 96, 10.0, 1.0, "builtin 1.1", "yuv420p", 0, notes=("a session was lost",))
    assert "in 10 s, 4 fps (builtin 1.1); a session was lost" in view.report(done)


def test_progress_says_frames_fps_and_time_left() -> None:
    job = Job(Path("a"), Path("b"), Wish(), lambda: 3)
    assert "number 3 in the queue" in view.progress(job)
    running = Job(Path("a"), Path("b"), Wish(), lambda: 0)
    assert "Opening a session" in view.progress(running)
    clock = Clock()
    running.meter = Meter(clock)
    running.meter.start(4)
    running.meter.advance()
    clock.now += 2
    shown = view.progress(running)
    assert 'aria-valuenow="1"' in shown
    assert "width:25.0%" in shown
    assert "Frame 1 of 4 · 0.5 fps · 6.0 s left" in shown
