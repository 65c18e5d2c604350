"""SIGTERM and SIGINT as a number to look at: the first asks for an orderly end, the second for haste."""

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
        """Take SIGTERM and SIGINT from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._came)

    def _came(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
