"""Workers that die before they serve: TorchServe starts them again and again, later each time, and says nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MOST_DEATHS: Final = 2
"""Of workers that left no exception behind: the kernel may have taken one of them for its memory."""
_TRACEBACK: Final = "Traceback (most recent call last):"
_ANOTHER: Final = "During handling of the above exception, another exception occurred:"
_LINE: Final = re.compile(r"W-\d+-\S+-std(?:out|err) - (.*)")
_EXCEPTION: Final = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b(?:: .*)?")


@dataclass(slots=True)
class Births:
    """Counts the workers that went while a server starts. ``workers`` gives the process ids of those that run."""

    workers: Callable[[], set[int]]
    log: Path
    """What the workers said, as TorchServe writes it."""
    _alive: set[int] = field(default_factory=set)
    _deaths: int = 0

    def failure(self) -> str | None:
        """Why no worker will ever serve; None as long as one may. Call it several times a second."""
        now = self.workers()
        self._deaths += len(self._alive - now)
        self._alive = now
        if self._deaths == 0:
            return None
        if (exception := last_exception(self._said())) is not None:
            return exception
        return None if self._deaths < MOST_DEATHS else f"its process ended {self._deaths} times while it loaded"

    def _said(self) -> list[str]:
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        return list(_own(text.splitlines()))


def last_exception(lines: list[str]) -> str | None:
    """The last line of the last exception in a worker's output; None where there is none.

    TorchServe imports a handler that failed to import once more, under a name of its own: of what came "during
    handling" of an exception, the first is the reason.
    """
    starts = [number for number, line in enumerate(lines) if line == _TRACEBACK]
    if not starts:
        return None
    first = starts[-1]
    for start in reversed(starts[:-1]):
        if _ANOTHER in lines[start:first]:
            first = start
    for line in lines[first + 1 :]:
        if _EXCEPTION.fullmatch(line):
            return line
    return None


def _own(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if (found := _LINE.search(line)) is not None:
            yield found[1]
