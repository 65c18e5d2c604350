"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(seconds: float, holds: Callable[[], bool]) -> bool:
    """Wait until something holds, that long at most; say whether it does."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)
    return holds()
