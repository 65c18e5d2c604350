from __future__ import annotations

from flashvsr_client.config import Segmentation
from flashvsr_client.dispatch import Running, choose
from flashvsr_client.segments import cut

FIRST, SECOND = cut(200, Segmentation(100, 0))
PACE = 0.1  # seconds a frame: 10 s for a segment


def test_what_waits_comes_first() -> None:
    assert choose([SECOND], [Running(FIRST, 0, since=0.0)], PACE, now=1000.0) is SECOND


def test_a_worker_that_has_shown_nothing_takes_nothing_over() -> None:
    assert choose([], [Running(FIRST, 0, since=0.0)], None, now=1000.0) is None


def test_a_segment_that_would_be_done_sooner_by_another_is_taken_over() -> None:
    slow = Running(FIRST, 0, since=0.0, frames=10)
    assert choose([], [slow], PACE, now=1.0) is None  # as fast as we are: 9 s are left
    assert choose([], [slow], PACE, now=1.6) is None  # 14.4 s are left, and we need 10
    assert choose([], [slow], PACE, now=2.0) is FIRST  # 18 s are left


def test_silence_is_taken_over_after_the_time_of_a_segment() -> None:
    silent = Running(FIRST, 0, since=0.0)
    assert choose([], [silent], PACE, now=9.0) is None
    assert choose([], [silent], PACE, now=11.0) is FIRST


def test_the_slowest_is_taken_over_and_nobody_makes_a_third_try() -> None:
    slow, slower = Running(FIRST, 0, since=0.0, frames=10), Running(SECOND, 1, since=0.0, frames=5)
    assert choose([], [slow, slower], PACE, now=4.0) is SECOND
    again = Running(SECOND, 2, since=4.0, frames=1)
    assert choose([], [slow, slower, again], PACE, now=5.0) is FIRST
    assert choose([], [slower, again], PACE, now=60.0) is None
