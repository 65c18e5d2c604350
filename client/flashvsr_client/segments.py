"""How a film is cut into segments. Integers only.

A segment keeps the frames first .. stop - 1 of the film. Its last frames and the first ones of the next segment are the
same frames: the overlap, over which one segment fades into the next. Its session begins some frames earlier, so that
the model's window and memories are filled when the first kept frame comes, and goes on a little longer, so that the
last kept frame's chunk sees the film and not repetitions of a frame:

    session of segment 0   [0 ............................ stop) look-ahead
    session of segment 1              [start  warm-up  first ............................ stop) look-ahead
                                                       |overlap|

`start` is a multiple of 8 frames, so that the chunks of every session fall where those of one long session would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flashvsr_client.config import Segmentation

CHUNK: Final = 8
"""Frames of each later chunk: the network's schedule, which every engine has."""
FIRST_CHUNK: Final = 25
"""Frames that a session takes before its first output."""
FIRST_OUTPUT: Final = 21
"""Frames of that output."""
DEFAULT_FRAMES: Final = 960
"""At most in a segment: what an interruption costs at worst. Warm-up, overlap and look-ahead add 4 hundredths."""
SHORTEST: Final = 96
"""Of the segments that are made only to keep several endpoints busy; below it the extra frames outweigh that."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of a film; all numbers are of the film's frames, from 0. See the module's docstring."""

    index: int
    start: int
    """First frame that its session takes."""
    first: int
    """First frame that is kept."""
    stop: int
    """After the last frame that is kept."""
    feed_stop: int
    """After the last frame that its session takes."""
    overlap_before: int
    """Of the kept frames, how many the segment before keeps as well."""
    overlap_after: int
    """Of the kept frames, how many the next segment keeps as well."""

    @property
    def at_the_end(self) -> bool:
        """Whether the last kept frames come only once the session is told that no more follow."""
        fed = self.feed_stop - self.start
        given = FIRST_OUTPUT + (fed - FIRST_CHUNK) // CHUNK * CHUNK if fed >= FIRST_CHUNK else 0
        return self.start + given < self.stop

    @property
    def body(self) -> range:
        """The frames that are this segment's alone; never empty."""
        return range(self.first + self.overlap_before, self.stop - self.overlap_after)

    @property
    def head(self) -> range:
        """The frames that it shares with the segment before."""
        return range(self.first, self.first + self.overlap_before)

    @property
    def tail(self) -> range:
        """The frames that it shares with the next segment."""
        return range(self.stop - self.overlap_after, self.stop)


def cut(frames: int, segmentation: Segmentation, endpoints: int = 1) -> tuple[Segment, ...]:
    """Cut a film of ``frames`` frames, 1 or more, into segments of nearly equal length.

    A film that one endpoint can do within one segment's length is not cut.
    """
    assert frames > 0
    assert endpoints > 0
    count = _count(frames, segmentation, endpoints)
    borders = [frames * index // count for index in range(count + 1)]
    before, after = segmentation.overlap // 2, segmentation.overlap - segmentation.overlap // 2
    return tuple(
        _segment(
            index,
            borders[index] - before * (index > 0),
            borders[index + 1] + after * (index + 1 < count),
            frames,
            segmentation.overlap * (index > 0),
            segmentation.overlap * (index + 1 < count),
            segmentation.warm_up,
        )
        for index in range(count)
    )


def extra_share(segments: Sequence[Segment], frames: int) -> float:
    """Frames that are computed beyond those of the film, as a share of it."""
    return sum(segment.feed_stop - segment.start for segment in segments) / frames - 1


def session_start(first: int, warm_up: int) -> int:
    """First frame of a session that has ``warm_up`` frames or more, if the film has them, before frame ``first``."""
    return max(0, first - warm_up) // CHUNK * CHUNK


def _count(frames: int, segmentation: Segmentation, endpoints: int) -> int:
    if segmentation.frames == 0:
        return 1
    if segmentation.frames is not None:
        return -(-frames // segmentation.frames)
    shortest = max(SHORTEST, 2 * (segmentation.overlap + 1))
    count = -(-frames // max(DEFAULT_FRAMES, shortest))
    evenly = -(-count // endpoints) * endpoints
    return max(1, min(evenly, frames // shortest))


def _segment(
    index: int, first: int, stop: int, frames: int, overlap_before: int, overlap_after: int, warm_up: int
) -> Segment:
    start = session_start(first, warm_up)
    chunks = 1 + max(0, -(-(stop - start - FIRST_OUTPUT) // CHUNK))
    feed_stop = min(frames, start + FIRST_CHUNK + CHUNK * (chunks - 1))
    return Segment(index, start, first, stop, feed_stop, overlap_before, overlap_after)
