"""A frame in horizontal bands, for decoders that should not hold a whole frame at once: integers only.

The bands go from top to bottom. A convolution of three rows makes a row only when the row below it is there, so after
a stack of them the output lags behind the input, by the stack's reach. Each convolution keeps the last two rows of
its input for the next band (`model/sweep.py`); so nothing is computed twice, and the result is that of the whole frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Band:
    """Rows start to stop - 1 of what goes into a stack; `first` and `last` touch the frame's border."""

    start: int
    stop: int
    first: bool
    last: bool

    @property
    def whole(self) -> bool:
        """Whether this is the whole frame."""
        return self.first and self.last


def whole(rows: int) -> Band:
    """The frame as one band."""
    return Band(0, rows, first=True, last=True)


def reach(convolutions: Sequence[int]) -> int:
    """Rows of input below a row that it depends on, rounded up.

    convolutions: how many convolutions of three rows lie one after another at each size, from the input's size on,
    each size having twice the rows of the one before.
    """
    finest = len(convolutions) - 1
    lag = sum(count << (finest - size) for size, count in enumerate(convolutions))
    return -(-lag >> finest)


def cut(rows: int, parts: int, reach: int) -> list[Band]:
    """At most `parts` bands that partition the rows, so that the bands of the output are about equal.

    The first band is longer by the reach, as its output lags by as much; the last one's output is all that still
    lags, so it has at least reach + 1 rows. No band's output has more than those or a rows / parts share.
    """
    assert min(rows, parts) >= 1, "a frame has rows, and is computed in at least one part"
    last = max(-(-rows // parts), reach + 1)
    before = max(0, min(parts - 1, rows - last))
    ends = [(rows - last) * part // before + reach for part in range(1, before + 1)] + [rows]
    starts = [0, *ends[:-1]]
    return [Band(start, end, start == 0, end == rows) for start, end in zip(starts, ends, strict=True)]
