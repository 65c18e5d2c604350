"""What is read from the arrival times of frames."""

from __future__ import annotations

import pytest

from bench.loader import Objectives, row
from bench.sessions import Viewing


def viewing(error: str = "") -> Viewing:
    """A first chunk of 5 frames after two seconds, then chunks of 8, one and three seconds later; a tail of 4."""
    return Viewing(5, 8, [2.0] * 5 + [3.0] * 8 + [6.0] * 8 + [7.0] * 8, error)


def test_gaps_are_between_chunks_not_between_frames() -> None:
    assert viewing().gaps_s == [1.0, 3.0, 1.0]
    assert viewing().first_frame_s == 2.0


def test_no_frames_are_infinitely_late() -> None:
    assert Viewing().first_frame_s == float("inf")
    assert Viewing(5, 8).gaps_s == []


@pytest.mark.parametrize(
    ("objectives", "met"), [((2.0, 3.0), True), ((1.9, 3.0), False), ((2.0, 2.9), False), ((99, float("inf")), True)]
)
def test_objectives(objectives: tuple[float, float], met: bool) -> None:
    assert Objectives(*objectives).met(viewing()) is met


def test_a_failed_session_never_counts() -> None:
    told, good = row([viewing(), viewing("gone")], 10.0, Objectives(99, 99))
    assert good == 1
    assert told.startswith("| 2 | 1 | 2.00 / 2.00 |")
    assert told.endswith("| 5.8 | 2.9 | 1 of 2 |")
