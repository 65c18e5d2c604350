"""For how long sessions were silent, and when that is too long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flashvsr_handler.stored import StoredSession
from flashvsr_handler.turns import Turns

BUSY_SHARE: Final = 4
"""Of the time in which the engine was busy, one in so many parts counts as silence."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Judges sessions by the store's clock and by what the engine did meanwhile."""

    idle_timeout_s: float
    turns: Turns
    clock: Callable[[], float]

    def broken(self, session: StoredSession) -> None:
        """Note that a session's client was heard until now."""
        session.last_used, session.busy_before = self.clock(), self.turns.busy_for()

    def is_too_long(self, session: StoredSession) -> bool:
        """Whether a session has been silent for longer than it may be.

        A chunk that waits in TorchServe's queue behind other sessions' is not seen here, so time in which the engine
        was busy does not count, but for a quarter: a client that is gone does not keep its session under load.
        """
        silent = self.clock() - session.last_used
        if session.patience_s < self.idle_timeout_s:  # its client is known to be gone, or the server is to stop
            return silent > session.patience_s
        busy = self.turns.busy_for() - session.busy_before
        return max(silent - busy, silent / BUSY_SHARE) > session.patience_s
