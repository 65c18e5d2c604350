"""What was seen, by all threads: counts, what must not have happened, and the gate that lets the load rest."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Safe to use from several threads."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    """What no fault excuses: a wrong frame, a film that could not go on, books that do not balance, a leak."""
    longest_gap_s: float = 0.0
    """Between two frames of one film."""
    fault: str = "none"
    """The last that was injected, for messages."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, **more: int) -> None:
        """Add to counts by name."""
        with self._lock:
            self.counts.update(more)

    def gap(self, seconds: float) -> None:
        """Note a silence between two frames."""
        with self._lock:
            self.longest_gap_s = max(self.longest_gap_s, seconds)

    def violated(self, text: str) -> None:
        """Note what must not happen."""
        line = f"{time.strftime('%H:%M:%S')} after {self.fault}: {' '.join(text.split())}"
        with self._lock:
            self.violations.append(line)


class Gate:
    """Lets clients begin a film while it is open, and knows how many are at one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = True
        self._ended = False
        self._inside = 0

    def enter(self) -> bool:
        """Wait until it is open; False when the load ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._open or self._ended)
            self._inside += not self._ended
            return not self._ended

    def leave(self) -> None:
        """Say that a film is over."""
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def close(self, timeout_s: float) -> bool:
        """Let no more begin; wait until all that run are over, and say whether they were in time."""
        with self._changed:
            self._open = False
            return self._changed.wait_for(lambda: self._inside == 0, timeout_s)

    def open(self) -> None:
        """Let films begin again."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def end(self) -> None:
        """Send everybody home once their films are over."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
