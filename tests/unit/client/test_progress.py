from __future__ import annotations

import json
from io import StringIO

from flashvsr_client.progress import Json, Plain, Silent, progress_on


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
    assert isinstance(progress_on(StringIO(), quiet=False), Plain)
    assert isinstance(progress_on(StringIO(), quiet=True), Silent)
    assert isinstance(progress_on(StringIO(), quiet=True, kind="json"), Json)
