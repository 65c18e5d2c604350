"""Streams on an engine in this process, whatever the engine: the real one, or the mock of `testing`.

An engine serves one call at a time, so the streams of one engine take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from threading import Lock
from typing import Protocol

from flashvsr_client.channel import Channel
from flashvsr_client.chunks import Frames
from flashvsr_client.errors import StreamClosedError
from flashvsr_client.transport.base import StreamInfo


class EngineSession(Protocol):
    """What a stream needs of an engine's session; `FlashVSREngine.open` gives one."""

    def push(self, frames: Frames) -> Frames:
        """Take frames [T, h, w, 3] and give what is ready, [T', s*h, s*w, 3], T' >= 0."""

    def finish(self) -> Frames:
        """Give the rest."""

    def close(self) -> None:
        """Free the session."""


class InProcessStream:
    """A :class:`Stream`: the receiving thread runs the engine, the sender is at most one chunk ahead of it."""

    def __init__(
        self,
        session: EngineSession,
        info: StreamInfo,
        turn: Lock,
        translated: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """``turn`` is held during each call; ``translated`` turns the engine's errors into this package's."""
        self.info = info
        self._session = session
        self._turn = turn
        self._translated = translated
        self._inbox: Channel[Frames] = Channel(1)
        self._closed = False

    def submit(self, frames: Frames) -> None:
        """See :class:`Stream`."""
        assert 1 <= len(frames) <= self.info.max_chunk_frames
        self._inbox.put(frames)

    def flush(self) -> None:
        """See :class:`Stream`."""
        self._inbox.close()

    def receive(self) -> Iterator[Frames]:
        """See :class:`Stream`."""
        for frames in self._inbox:
            yield from self._run(partial(self._session.push, frames))
        yield from self._run(self._session.finish)

    def close(self) -> None:
        """See :class:`Stream`. Waits for a chunk that is being computed."""
        self._inbox.abort()
        with self._turn:
            if not self._closed:
                self._closed = True
                self._session.close()

    def _run(self, call: Callable[[], Frames]) -> Iterator[Frames]:
        with self._turn:
            if self._closed:
                raise StreamClosedError("the stream was closed before its end")
            with self._translated():
                frames = call()
        if len(frames):
            yield frames
