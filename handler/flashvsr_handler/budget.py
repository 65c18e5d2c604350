"""Which sessions fit together: arithmetic alone.

One chunk runs at a time. While it does, the device holds the weights, every session's state and that chunk's work;
a session's work is its peak less its state, and its peak counts the weights; recorded chunks of all sessions share
what they hold beside that. All of it fits whatever session runs
next if, and only if, the sum of all states and the largest work are within the budget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flashvsr_handler.protocols import Plan


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes of a device for the weights, the states of all sessions and the work of one chunk."""

    total: int

    def needed(self, resident: Iterable[Plan]) -> int:
        """Bytes in use when that session of those on the device runs whose work is largest."""
        plans = list(resident)
        states = sum(plan.state_bytes for plan in plans)
        works = (plan.peak_bytes - plan.state_bytes for plan in plans)
        return states + max(works, default=0) + max((plan.graph_bytes for plan in plans), default=0)

    def fits(self, resident: Iterable[Plan]) -> bool:
        """Whether none of those can make another run out of memory."""
        return self.needed(resident) <= self.total
