"""What the user sees while a job runs: a bar with fps and time left on a terminal, plain lines elsewhere. On stderr."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Protocol, Self, TextIO

_LINE_SECONDS: Final = 10.0
_JSON_SECONDS: Final = 0.5
KINDS: Final = ("auto", "bar", "plain", "json")


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
    """A line every ten seconds, for logs; with the film's name where there are several."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic, name: str = "") -> None:
        self._stream = stream
        self._name = f"{name}: " if name else ""
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
            self._stream.write(f"{self._name}frame {self._done}{of}, {rate:.2f} fps{left}\n")
            self._stream.flush()


class Json(Silent):
    """Lines of JSON for programs: `start` with the frames expected, `progress` twice a second, `end` with all frames.

    `frames` is null where it is unknown; `seconds_left` too. Frames of an earlier run are not among them. Where there
    are several films, each line has the `input` that it is of.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic, name: str = "") -> None:
        self._stream = stream
        self._input = {"input": name} if name else {}
        self._clock = clock
        self._started = self._shown = clock()
        self._total: int | None = None
        self._done = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See :class:`Progress`."""
        self._say("end", done=self._done, complete=kind is None, fps=self._fps(self._clock()))

    def start(self, total: int | None) -> None:
        """See :class:`Progress`."""
        self._total = total
        self._started = self._shown = self._clock()
        self._say("start", frames=total)

    def advance(self) -> None:
        """See :class:`Progress`."""
        self._done += 1
        now = self._clock()
        if now - self._shown >= _JSON_SECONDS:
            self._shown = now
            fps = self._fps(now)
            left = None if self._total is None or not fps else round(max(0, self._total - self._done) / fps, 1)
            self._say("progress", done=self._done, frames=self._total, fps=fps, seconds_left=left)

    def _fps(self, now: float) -> float:
        return round(self._done / (now - self._started), 3) if now > self._started else 0.0

    def _say(self, event: str, **values: object) -> None:
        self._stream.write(json.dumps({"event": event, **self._input, **values}, ensure_ascii=False) + "\n")
        self._stream.flush()


def progress_on(stream: TextIO, *, kind: str, name: str = "") -> Progress:
    """Give a progress of a kind that needs no terminal; ``name`` of the film, where there are several."""
    return Json(stream, name=name) if kind == "json" else Plain(stream, name=name)


@contextmanager
def display_on(stream: TextIO, *, quiet: bool, kind: str = "auto") -> Iterator[Callable[[str], Progress]]:
    """Give what makes the progress of each film from its name, for films one after another or at the same time.

    ``kind`` is one of ``KINDS``: "auto" is nothing when ``quiet``, bars on a terminal, else plain lines.
    """
    if quiet and kind != "json":
        yield lambda _: Silent()
    elif kind == "bar" or (kind == "auto" and stream.isatty()):
        from flashvsr_client.progress_bars import Bars

        with Bars(stream) as bars:
            yield bars.bar
    else:
        yield lambda name: progress_on(stream, kind=kind, name=name)
