"""Rows of a picture that is computed in bands from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows start..end - 1 of a picture of `height` rows."""

    start: int
    end: int
    height: int

    @property
    def at_top(self) -> bool:
        """Whether the picture's first row is among them."""
        return self.start == 0

    @property
    def at_bottom(self) -> bool:
        """Whether the picture's last row is among them."""
        return self.end == self.height

    def grown(self) -> Rows:
        """With the row above and the row below, where there are such: what a 3x3 convolution reads."""
        return Rows(max(self.start - 1, 0), min(self.end + 1, self.height), self.height)

    def within(self, outer: Rows) -> slice:
        """Where they lie among the rows of `outer`."""
        return slice(self.start - outer.start, self.end - outer.start)


def bands_of(height: int, bands: int, unit: int) -> Iterator[Rows]:
    """Cut `height` rows into `bands` parts as even as multiples of `unit` rows can be, fewer where there are none."""
    assert height % unit == 0
    units = height // unit
    bands = min(bands, units)
    edges = [units * i // bands * unit for i in range(bands + 1)]
    yield from (Rows(start, end, height) for start, end in zip(edges, edges[1:], strict=False))
