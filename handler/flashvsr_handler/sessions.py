"""The sessions that are open: how many, how large, how long silent. Knows neither torch nor TorchServe."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from flashvsr_handler.admission import Admission
from flashvsr_handler.errors import Busy, NoSession, OutOfOrder, TooLarge
from flashvsr_handler.protocols import EngineSession, Pictures

ID_BYTES: Final = 18
IN_FLIGHT: Final = 2
"""Chunks that a client may have under way: one that runs and one that is queued. Either may have to be repeated."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a chunk gave, kept for a while so that a repeated request gets it again."""

    chunk_index: int
    outputs: tuple[Pictures, ...]
    taken: int
    """Frames in, of the stream, once this chunk's were taken."""
    first_frame: int
    """Number of the first output frame in its stream."""

    @property
    def frames(self) -> int:
        """Output frames of this answer."""
        return sum(len(output) for output in self.outputs)


@dataclass(slots=True)
class StoredSession:
    """A session and what the store remembers of it."""

    id: str
    engine: EngineSession
    admission: Admission
    next_index: int = 0
    answers: tuple[Answer, ...] = ()
    """Of the last chunks, as many as a client may have under way."""
    flushed: bool = False
    last_used: float = 0.0
    in_use: bool = False

    def repeated(self, chunk_index: int) -> Answer | None:
        """Give the answer of one of the last two chunks when its index comes again, None for the next one.

        Raises :class:`OutOfOrder` for any other; the session stays usable.
        """
        for answer in self.answers:
            if chunk_index == answer.chunk_index:
                return answer
        if chunk_index != self.next_index:
            raise OutOfOrder(f"chunk_index {chunk_index}: send {self.next_index} next, or repeat one of the last two.")
        return None

    def remember(self, answer: Answer) -> None:
        """Keep the answer of the chunk that just ran and expect the next."""
        self.answers = (*self.answers[1 - IN_FLIGHT :], answer)
        self.next_index = answer.chunk_index + 1


@dataclass(frozen=True, slots=True)
class Counters:
    """Sessions since the start: opened == closed + expired + lost + active, always."""

    opened: int = 0
    closed: int = 0
    expired: int = 0
    lost: int = 0
    active: int = 0


class SessionStore:
    """Sessions by unguessable id, admitted by number and bytes, closed when silent for too long.

    Safe to use from two threads: a request's and the one that expires sessions.
    """

    def __init__(self, max_sessions: int, budget_bytes: int, idle_timeout_s: float, clock: Callable[[], float]) -> None:
        self._max_sessions = max_sessions
        self._budget_bytes = budget_bytes
        self._idle_timeout_s = idle_timeout_s
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, StoredSession] = {}
        self._opened = self._closed = self._expired = self._lost = 0

    @property
    def counters(self) -> Counters:
        """How many sessions were opened, and where they are now."""
        with self._lock:
            return Counters(self._opened, self._closed, self._expired, self._lost, len(self._sessions))

    @property
    def state_bytes(self) -> int:
        """Bytes that the open sessions were admitted with."""
        with self._lock:
            return self._held()

    def admit(self, admission: Admission, make: Callable[[], EngineSession]) -> StoredSession:
        """Open a session when, beside the others' states, there is room for the peak of its work.

        Raises :class:`TooLarge` when it would not fit an empty server, :class:`Busy` when it does not fit now.
        """
        peak_bytes = admission.plan.peak_bytes
        if peak_bytes > self._budget_bytes:
            raise TooLarge(
                f"A session of {peak_bytes} bytes at its peak passes the server's {self._budget_bytes}: "
                "send smaller pictures or ask for a smaller scale."
            )
        self.expire()
        with self._lock:
            if len(self._sessions) >= self._max_sessions:
                raise Busy(f"All {self._max_sessions} sessions are taken: try again, or another server.")
            held = self._held()
            if held + peak_bytes > self._budget_bytes:
                raise Busy(f"{held} of {self._budget_bytes} bytes are taken, {peak_bytes} more are needed: try again.")
            session = StoredSession(secrets.token_urlsafe(ID_BYTES), make(), admission)
            session.last_used = self._clock()
            self._sessions[session.id] = session
            self._opened += 1
            return session

    @contextmanager
    def use(self, session_id: str) -> Iterator[StoredSession]:
        """Give the session of that id, which cannot expire meanwhile. Raises :class:`NoSession`."""
        self.expire()
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None:
                raise NoSession(f"Session {session_id[:8]!r}... is unknown, closed or expired: open another.")
            session.in_use = True
        try:
            yield session
        finally:
            with self._lock:
                session.in_use = False
                session.last_used = self._clock()

    def close(self, session_id: str, *, lost: bool = False) -> None:
        """Free a session, as closed by its client or, with ``lost``, as broken. Nothing happens when it is gone."""
        with self._lock:
            session = self._sessions.pop(session_id, None)
            if session is None:
                return
            self._lost += lost
            self._closed += not lost
        session.engine.close()

    def expire(self) -> int:
        """Close the sessions that were silent for too long; return how many."""
        with self._lock:
            deadline = self._clock() - self._idle_timeout_s
            idle = [s for s in self._sessions.values() if not s.in_use and s.last_used < deadline]
            for session in idle:
                del self._sessions[session.id]
            self._expired += len(idle)
        for session in idle:
            session.engine.close()
        return len(idle)

    def _held(self) -> int:
        return sum(session.admission.plan.state_bytes for session in self._sessions.values())
