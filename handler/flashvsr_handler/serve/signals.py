"""SIGTERM, SIGINT and SIGHUP as a number to look at: the first asks for an orderly end, the second for haste."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class StopSignals:
    """How often the end was asked for. A plain number: an Event's lock could be held where the signal strikes."""

    count: int = 0

    @property
    def stop(self) -> bool:
        """Whether the server is to end."""
        return self.count > 0

    def hurry(self) -> bool:
        """Whether it is to end at once."""
        return self.count > 1

    def listen(self) -> None:
        """Take the signals from now on; SIGHUP, of a terminal that is closed, unless nohup has it ignored."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._came)

    def _came(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
