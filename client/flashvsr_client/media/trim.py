"""Which part of an input is read, in ticks and in frames: arithmetic alone."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from flashvsr_client.config import Reading


def window_of(reading: Reading, begin: Fraction, time_base: Fraction) -> tuple[int | None, int | None]:
    """Ticks of the file's clock, which begins at ``begin`` seconds, between which frames are taken."""
    first = ceil((begin + reading.start) / time_base) if reading.start else None
    if reading.duration is None:
        return first, None
    return first, ceil((begin + reading.start + reading.duration) / time_base)


def frames_within(frames: int | None, rate: Fraction, reading: Reading) -> int | None:
    """Estimate how many of ``frames`` at ``rate`` are read."""
    if frames is not None:
        frames = max(0, frames - round(reading.start * rate))
    if reading.duration is None:
        return frames
    wanted = max(1, round(reading.duration * rate))
    return wanted if frames is None else min(frames, wanted)
