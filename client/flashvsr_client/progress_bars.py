"""Bars on a terminal, one below another for films that are made at the same time."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self, TextIO

from flashvsr_client.progress import Silent

_WIDEST = 32


class Bars:
    """A context manager: what it shows ends with its block."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._shown = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[fps]:.2f} fps"),
            TimeRemainingColumn(),
            console=Console(file=stream),
            transient=True,
        )

    def __enter__(self) -> Self:
        self._shown.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shown.stop()

    @property
    def shown(self) -> Any:
        """What is drawn, for rich."""
        return self._shown

    def bar(self, name: str) -> Bar:
        """Give the bar of one film, which is there for the time of its own block; its name may be empty."""
        return Bar(self._shown, _shortened(name))


class Bar(Silent):
    """A :class:`~flashvsr_client.progress.Progress` with frames, fps and time left."""

    def __init__(self, shown: Any, name: str) -> None:
        self._shown = shown
        self._name = name
        self._task: Any = None
        self._started = time.monotonic()
        self._done = 0

    def __enter__(self) -> Self:
        waiting = f"{self._name}: waiting" if self._name else "waiting for the first frames"
        self._task = self._shown.add_task(waiting, total=None, fps=0.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See :class:`Progress`."""
        self._shown.remove_task(self._task)

    def start(self, total: int | None) -> None:
        """See :class:`Progress`."""
        self._started = time.monotonic()
        self._shown.update(self._task, total=total)

    def advance(self) -> None:
        """See :class:`Progress`."""
        self._done += 1
        fps = self._done / (time.monotonic() - self._started)
        self._shown.update(self._task, advance=1, fps=fps, description=self._name or "upscaling")


def _shortened(name: str) -> str:
    """The end of a path tells more than its beginning."""
    return name if len(name) <= _WIDEST else f"...{name[-_WIDEST:]}"
