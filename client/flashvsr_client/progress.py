"""What the user sees while a job runs: a bar with fps and time left on a terminal, plain lines elsewhere. On stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

_LINE_SECONDS: Final = 10.0


class Progress(Protocol):
    """Is told of each finished frame. A context manager: what it shows ends with its block."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing."""

    def start(self, total: int | None) -> None:
        """Say how many frames are expected; None: unknown."""

    def advance(self) -> None:
        """One more frame is done."""


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See :class:`Progress`."""

    def start(self, total: int | None) -> None:
        """See :class:`Progress`."""

    def advance(self) -> None:
        """See :class:`Progress`."""


class Plain(Silent):
    """A line every ten seconds, for logs."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._started = self._shown = clock()
        self._total: int | None = None
        self._done = 0

    def start(self, total: int | None) -> None:
        """See :class:`Progress`."""
        self._total = total
        self._started = self._shown = self._clock()

    def advance(self) -> None:
        """See :class:`Progress`."""
        self._done += 1
        now = self._clock()
        if now - self._shown >= _LINE_SECONDS:
            self._shown = now
            rate = self._done / (now - self._started)
            of = f"/{self._total}" if self._total else ""
            left = f", {max(0, self._total - self._done) / rate:.0f} s left" if self._total else ""
            self._stream.write(f"frame {self._done}{of}, {rate:.2f} fps{left}\n")
            self._stream.flush()


class Bar(Silent):
    """A bar with frames, fps and time left, for terminals."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[fps]:.2f} fps"),
            TimeRemainingColumn(),
            console=Console(file=stream),
            transient=True,
        )
        self._task = self._bar.add_task("waiting for the first frames", total=None, fps=0.0)
        self._started = time.monotonic()
        self._done = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See :class:`Progress`."""
        self._bar.stop()

    def start(self, total: int | None) -> None:
        """See :class:`Progress`."""
        self._started = time.monotonic()
        self._bar.update(self._task, total=total)

    def advance(self) -> None:
        """See :class:`Progress`."""
        self._done += 1
        fps = self._done / (time.monotonic() - self._started)
        self._bar.update(self._task, advance=1, fps=fps, description="upscaling")


def progress_on(stream: TextIO, *, quiet: bool) -> Progress:
    """Choose: nothing when ``quiet``, a bar on a terminal, else plain lines."""
    if quiet:
        return Silent()
    return Bar(stream) if stream.isatty() else Plain(stream)
