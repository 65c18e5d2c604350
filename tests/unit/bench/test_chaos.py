"""What tells a run of random faults that something went wrong must itself be able to."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from flashvsr_handler.protocols import Pictures

from bench.chaos import jobs
from bench.chaos.__main__ import report
from bench.chaos.engine import EchoEngine
from bench.chaos.films import HEIGHT, SCALE, WIDTH, Film, WrongFrameError
from bench.chaos.run import Outcome
from bench.chaos.tally import Gate, Tally


def echoed(film: Film) -> list[Pictures]:
    engine = EchoEngine(fps=1e6)
    session = engine.open(WIDTH, HEIGHT, SCALE)
    frames = np.stack(list(film.frames()))
    first = session.push(frames[:40])
    resumed = engine.resume(session.snapshot())
    return [*first, *resumed.push(frames[40:]), *resumed.finish()]


def test_a_film_knows_its_own_frames_and_no_others() -> None:
    film = Film(7, 60)
    given = echoed(film)
    assert len(given) == 60
    for index, frame in enumerate(given):
        film.check(index, frame)
    with pytest.raises(WrongFrameError, match="film 7, frame 3: got what says film 7, frame 4"):
        film.check(3, given[4])
    with pytest.raises(WrongFrameError, match="got what says film 8, frame 3"):
        film.check(3, echoed(Film(8, 60))[3])
    spoilt = given[5].copy()
    spoilt[-1, -1, 0] ^= 1
    with pytest.raises(WrongFrameError, match=r"frame 5 \(1 pixels differ\)"):
        film.check(5, spoilt)


def test_a_file_with_a_frame_too_few_is_found(tmp_path: Path) -> None:
    jobs.write(tmp_path / "whole.mkv", Film(7, 12), SCALE)
    jobs.check(tmp_path / "whole.mkv", Film(7, 12))
    with pytest.raises(WrongFrameError, match="12 of 13 frames"):
        jobs.check(tmp_path / "whole.mkv", Film(7, 13))


def test_the_gate_waits_for_those_inside_and_holds_the_others_back() -> None:
    gate = Gate()
    assert gate.enter()
    assert not gate.close(0.01)
    entered: list[bool] = []
    other = threading.Thread(target=lambda: entered.append(gate.enter()))
    other.start()
    gate.leave()
    assert gate.close(1)
    assert entered == []
    gate.end()
    other.join(5)
    assert entered == [False]


def test_the_report_says_what_did_not_hold() -> None:
    tally = Tally()
    tally.fault = "java killed"
    tally.violated("direct: film 3 failed:\n gone")
    tally.count(faults=2)
    outcome = Outcome(tally, seconds=120, recoveries={"java killed": [4.0, 8.0]}, grown={"java": [(1.0, 2.0)]})
    lines = "\n".join(report(outcome, 5, "Busy."))
    assert "`python -m bench.chaos --minutes 2 --seed 5`" in lines
    assert "| java killed | 2 | 4.0 | 8.0 | 8.0 |" in lines
    assert "What did not hold: 1." in lines
    assert "after java killed: direct: film 3 failed: gone" in lines
