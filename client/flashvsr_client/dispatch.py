"""Which segment a free worker takes: a pure decision over what is waiting and what is running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flashvsr_client.segments import Segment

_GAIN = 1.5  # a second try starts where it should be done in two thirds of the time that the first still takes


@dataclass(slots=True)
class Running:
    """One try at a segment. Times are in seconds of one clock."""

    segment: Segment
    worker: int
    since: float | None
    """When it got an engine; None: it waits for one."""
    frames: int = 0
    """Done so far, of those that the segment keeps."""

    def left(self, now: float, typical: float) -> float:
        """Seconds that it still takes: at its own pace, or, before its first frame, at the typical one.

        A try that has been silent for longer than a whole segment typically takes may never end.
        """
        kept = self.segment.stop - self.segment.first
        if self.since is None:
            return typical * kept  # another one would have to wait as well
        elapsed = now - self.since
        if self.frames:
            return elapsed / self.frames * (kept - self.frames)
        whole = typical * kept
        return whole if elapsed <= whole else float("inf")


def choose(waiting: Sequence[Segment], running: Sequence[Running], pace: float | None, now: float) -> Segment | None:
    """Give the segment that a free worker should take now; None: there is nothing for it yet.

    ``pace``: seconds per kept frame that this worker took for its segments so far, None for one that has made none.
    What waits comes first. After that a worker takes over what another one is slow with: both try, the first to end
    wins, and nobody tries what two try already.
    """
    if waiting:
        return waiting[0]
    if pace is None:
        return None
    tries: dict[int, int] = {}
    for one in running:
        tries[one.segment.index] = tries.get(one.segment.index, 0) + 1
    slow = [one for one in running if tries[one.segment.index] == 1 and _worth(one, pace, now)]
    return max(slow, key=lambda one: one.left(now, pace)).segment if slow else None


def all_at_work(waiting: Sequence[Segment], running: Sequence[Running]) -> bool:
    """Whether each segment that is not finished has an engine: what other engines there are, this job does not need."""
    return not waiting and all(one.since is not None for one in running)


def _worth(one: Running, pace: float, now: float) -> bool:
    mine = pace * (one.segment.stop - one.segment.first)
    return one.left(now, pace) > _GAIN * mine
