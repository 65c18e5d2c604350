"""The end of a server, said in advance: no new sessions, the running ones have a deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flashvsr_handler.errors import Draining

IDLE_S: Final = 10.0
"""While a server drains, a session that is silent for longer is closed."""


@dataclass(slots=True)
class Drain:
    """Whether the server is to stop, and when at the latest."""

    clock: Callable[[], float]
    deadline: float | None = None

    def begin(self, seconds: float) -> None:
        """Let running sessions go on for so many seconds; later calls can only shorten that."""
        deadline = self.clock() + seconds
        self.deadline = deadline if self.deadline is None else min(self.deadline, deadline)

    @property
    def left_ms(self) -> int:
        """Milliseconds to the deadline, 1 at least; 0 when the server does not stop."""
        return 0 if self.deadline is None else max(1, round((self.deadline - self.clock()) * 1000))

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and self.clock() >= self.deadline

    def require_open(self) -> None:
        """Raise :class:`Draining` when no session may be opened any more."""
        if self.deadline is not None:
            raise Draining("The server stops: open the session on another one, or here when it is back.")

    def require_time(self) -> None:
        """Raise :class:`Draining` when running sessions have no time left."""
        if self.over:
            raise Draining("The server stops now: open another session elsewhere and send the frames again.")
