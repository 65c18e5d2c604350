"""How far a job is, for whoever looks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from flashvsr_client.progress import Silent


@dataclass(frozen=True, slots=True)
class Standing:
    """A look at a job that runs."""

    done: int
    """Frames that are finished."""
    total: int | None
    """Frames that are expected; None where the file does not say."""
    fps: float
    """Frames per second since the session was opened; 0 before the first frame."""

    @property
    def seconds_left(self) -> float | None:
        """None while it cannot be told."""
        if self.total is None or not self.fps:
            return None
        return max(0, self.total - self.done) / self.fps


class Meter(Silent):
    """A :class:`~flashvsr_client.progress.Progress` that is asked instead of showing; from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._started: float | None = None
        self._total: int | None = None
        self._done = 0

    def start(self, total: int | None) -> None:
        """See :class:`Progress`."""
        with self._lock:
            self._started, self._total, self._done = self._clock(), total, 0

    def advance(self) -> None:
        """See :class:`Progress`."""
        with self._lock:
            self._done += 1

    def reset(self) -> None:
        """Forget the session: another one is needed."""
        with self._lock:
            self._started, self._total, self._done = None, None, 0

    def standing(self) -> Standing | None:
        """Give where the job is; None before its session is open."""
        with self._lock:
            if self._started is None:
                return None
            seconds = self._clock() - self._started
            return Standing(self._done, self._total, self._done / seconds if self._done and seconds else 0.0)
