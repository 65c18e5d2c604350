"""A stream that outlives its sessions: a session that is lost is opened again, with the frames before the loss.

It keeps the input frames that another session would need: its warm-up and what has not come out. It also holds back
the last few output frames, and fades them into the new session's, so that the change cannot be seen. Every frame still
comes out once, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from threading import Event, Lock
from typing import Final

from flashvsr_client.chunks import Frame, Frames
from flashvsr_client.config import RetryPolicy, Segmentation
from flashvsr_client.errors import (
    ClientError,
    ServerBusyError,
    ServerUnreachableError,
    SessionLostError,
    StreamClosedError,
)
from flashvsr_client.exchange import exchange
from flashvsr_client.merge import faded
from flashvsr_client.segments import session_start
from flashvsr_client.transport.base import Stream, StreamInfo

Open = Callable[[int], Stream]
"""Opens a stream whose first frame is that frame of the film."""
_PASSING: Final = (ServerBusyError, ServerUnreachableError, SessionLostError)


class ReplayingStream:
    """Frames through as many sessions as it takes. ``close`` may come from any thread, the rest belongs to one."""

    def __init__(
        self, open_at: Open, retry: RetryPolicy, segmentation: Segmentation | None = None, *, first_frame: int = 0
    ) -> None:
        """Open the first session; ``segmentation`` says how long warm-up and fade are. Raises what ``open_at`` does."""
        chosen = segmentation or Segmentation()
        self._open_at = open_at
        self._retry = retry
        self._overlap = chosen.overlap
        self._warm_up = chosen.warm_up
        self._first_frame = first_frame
        self._stream = open_at(first_frame)
        self._closing = Event()
        self.notes: list[str] = []
        """The sessions that were lost, a line each."""

    @property
    def info(self) -> StreamInfo:
        """What the engine said at open."""
        return self._stream.info

    def exchange(self, chunks: Iterable[Frames]) -> Generator[Frame, None, None]:
        """Send ``chunks`` and give the upscaled frames, as :func:`flashvsr_client.exchange.exchange` does.

        Raises what that does, and the last error once sessions are lost again and again without a frame in between.
        """
        history, output = _History(chunks), _Output(self._overlap)
        start = failures = 0
        while True:
            try:
                for number, frame in enumerate(exchange(self._stream, history.since(start)), start):
                    for ready in output.add(number, frame):
                        yield ready
                        failures = 0
                        history.forget(session_start(output.given, self._warm_up))
                yield from output.rest()
                return
            except (ServerBusyError, SessionLostError) as error:  # busy: for a chunk, again and again
                failures += 1
                self._note(output.given, error)
                start = session_start(output.given, self._warm_up)
                output.fade()
                failures = self._reopen(start, failures, error)

    def close(self) -> None:
        """End it here and at the engine. Does nothing the second time."""
        self._closing.set()
        self._stream.close()

    def _reopen(self, start: int, failures: int, error: ClientError) -> int:
        """Open the next session, as patiently as the policy says; give the failures in a row so far."""
        while True:
            if failures >= self._retry.attempts:
                raise error
            if self._closing.wait(self._retry.delay(failures)):
                raise StreamClosedError("the stream was closed before its end") from error
            try:
                self._stream = self._open_at(self._first_frame + start)
            except _PASSING as another:
                failures, error = failures + 1, another
            else:
                return failures

    def _note(self, given: int, error: ClientError) -> None:
        self.notes.append(f"session lost after frame {given} ({error}); opened again with the frames before it")


class _Output:
    """What comes out: the newest frames wait, in case another session has to fade in over them."""

    def __init__(self, overlap: int) -> None:
        self.given = 0
        """Frames that were given away."""
        self._overlap = overlap
        self._held: deque[Frame] = deque()
        self._old: dict[int, Frame] = {}
        self._fade = range(0)

    def add(self, number: int, frame: Frame) -> Iterator[Frame]:
        """Take frame ``number`` of the film and give those that may go; one that has gone already is dropped."""
        if number < self.given + len(self._held):
            return
        if (old := self._old.pop(number, None)) is not None:
            frame = faded(old, frame, self._fade.index(number), len(self._fade))
        self._held.append(frame)
        if len(self._held) > self._overlap:
            self.given += 1
            yield self._held.popleft()

    def fade(self) -> None:
        """Say that the next frames come from another session."""
        self._old |= dict(enumerate(self._held, self.given))
        self._fade = range(self.given, self.given + len(self._old))
        self._held.clear()

    def rest(self) -> Iterator[Frame]:
        """Give what waits."""
        while self._held:
            self.given += 1
            yield self._held.popleft()


class _History:
    """The input, chunk by chunk, and what another session would need of it. One thread may forget meanwhile."""

    def __init__(self, chunks: Iterable[Frames]) -> None:
        self._source = iter(chunks)
        self._kept: deque[Frames] = deque()
        self._first = 0
        self._lock = Lock()

    def since(self, start: int) -> Iterator[Frames]:
        """Give the frames from ``start`` on: those that are kept, then the source's."""
        with self._lock:
            kept, number = list(self._kept), self._first
        for chunk in kept:
            if number + len(chunk) > start:
                yield chunk[max(0, start - number) :]
            number += len(chunk)
        for chunk in self._source:
            with self._lock:
                self._kept.append(chunk)
            yield chunk

    def forget(self, start: int) -> None:
        """Drop the chunks that end before frame ``start``."""
        with self._lock:
            while self._kept and self._first + len(self._kept[0]) <= start:
                self._first += len(self._kept.popleft())
