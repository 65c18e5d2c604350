"""How pieces become one: the fade over an overlap, and the order of the packets. Arithmetic only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flashvsr_client.chunks import Frames


def blend(before: Frames, after: Frames) -> Frames:
    """Fade from one segment's frames of an overlap to the next one's frames of it, [T, h, w, 3], frame by frame.

    Frame j of T is (T - j) / (T + 1) of ``before`` and (j + 1) / (T + 1) of ``after``, rounded half up. Exact integers,
    so the result is the same on every machine.
    """
    return np.stack([faded(*pair, index, len(before)) for index, pair in enumerate(zip(before, after, strict=True))])


def faded(before: Frames, after: Frames, index: int, count: int) -> Frames:
    """Frame ``index`` of a fade over ``count`` frames; see :func:`blend`."""
    assert before.shape == after.shape
    assert before.dtype == after.dtype
    assert 0 <= index < count
    parts = count + 1
    mixed = before.astype(np.uint32) * (count - index) + after.astype(np.uint32) * (index + 1)
    return ((2 * mixed + parts) // (2 * parts)).astype(before.dtype)


def reorder_delay(pts: Sequence[int]) -> int:
    """By how many packets decoding has to run ahead of showing; ``pts``: times in the order of decoding.

    The smallest delay at which the n-th packet is decoded no later than it is shown.
    """
    rank = {time: place for place, time in enumerate(sorted(pts))}
    return max((place - rank[time] for place, time in enumerate(pts)), default=0)


class DecodeTimes:
    """Decoding times of packets that follow one another in parts, each part decodable alone.

    They are the sorted times of showing, ``delay`` packets late; what lies before the first frame is counted back in
    steps of ``step`` ticks. So they increase always, and never pass the time of showing.
    """

    def __init__(self, first: int, step: int, delay: int) -> None:
        assert step > 0
        self._waiting = [first - step * back for back in range(delay, 0, -1)]

    def of(self, pts: Sequence[int]) -> list[int]:
        """Decoding times of the next part's packets, whose times of showing, in any order, are ``pts``."""
        known = [*self._waiting, *sorted(pts)]
        self._waiting = known[len(pts) :]
        return known[: len(pts)]
