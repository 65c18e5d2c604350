from __future__ import annotations

import json
from io import StringIO

import pytest
from flashvsr_client.progress import Json, Plain, Silent, display_on
from flashvsr_client.progress_bars import Bars


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_json_lines_say_what_is_done_and_left() -> None:
    stream, clock = StringIO(), Clock()
    with Json(stream, clock) as progress:
        clock.now = 5.0  # waiting for an engine counts for nothing
        progress.start(10)
        for _ in range(4):
            clock.now += 0.25
            progress.advance()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert lines == [
        {"event": "start", "frames": 10},
        {"event": "progress", "done": 2, "frames": 10, "fps": 4.0, "seconds_left": 2.0},
        {"event": "progress", "done": 4, "frames": 10, "fps": 4.0, "seconds_left": 1.5},
        {"event": "end", "done": 4, "complete": True, "fps": 4.0},
    ]


def test_json_knows_when_the_number_of_frames_is_not_known_and_when_a_job_fails() -> None:
    stream, clock = StringIO(), Clock()
    progress = Json(stream, clock)
    progress.start(None)
    clock.now = 1.0
    progress.advance()
    progress.__exit__(KeyError, KeyError(), None)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert lines[1]["seconds_left"] is None
    assert lines[-1] == {"event": "end", "done": 1, "complete": False, "fps": 1.0}


def test_the_kind_is_chosen() -> None:
    for quiet, kind, expected in ((False, "auto", Plain), (True, "auto", Silent), (True, "json", Json)):
        with display_on(StringIO(), quiet=quiet, kind=kind) as display:
            assert isinstance(display(""), expected)


def test_films_at_the_same_time_are_told_apart() -> None:
    stream = StringIO()
    with (
        display_on(stream, quiet=False, kind="json") as display,
        display("a.mp4") as first,
        display("二.mp4") as second,
    ):
        first.start(2)
        second.start(3)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["input"]) for line in lines] == [
        ("start", "a.mp4"),
        ("start", "二.mp4"),
        ("end", "二.mp4"),
        ("end", "a.mp4"),
    ]
    clock, stream = Clock(), StringIO()
    plain = Plain(stream, clock, "a.mp4")
    plain.start(4)
    clock.now = 10.0
    plain.advance()
    assert stream.getvalue() == "a.mp4: frame 1/4, 0.10 fps, 30 s left\n"


def test_bars_are_there_for_as_long_as_their_films(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream = StringIO()
    with Bars(stream) as bars:
        with bars.bar("[red]a.mp4") as first, bars.bar("b" * 40) as second:
            first.start(2)
            second.start(None)
            first.advance()
            told = drawn(bars)
            assert "[red]a.mp4" in told, "a name is no markup"
            assert "1/2" in told
            assert f"...{'b' * 32}: waiting" in told
        assert drawn(bars).strip() == ""


def drawn(bars: Bars) -> str:
    from rich.console import Console

    console = Console(file=StringIO(), width=120)
    console.print(bars.shown)
    return str(console.file.getvalue())  # type: ignore[attr-defined]
