"""The sessions that are open: how many, how large, how long silent. Knows neither torch nor TorchServe."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from flashvsr_handler.admission import Admission
from flashvsr_handler.budget import Budget
from flashvsr_handler.errors import Busy, NoSession, TooLarge
from flashvsr_handler.protocols import EngineSession
from flashvsr_handler.stored import End, StoredSession
from flashvsr_handler.turns import Turns

ID_BYTES: Final = 18
BUSY_SHARE: Final = 4
USE_WAIT_S: Final = 60.0
"""How long a request waits for another one of the same session, such as a repetition for the original."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the store allows."""

    max_sessions: int
    idle_timeout_s: float
    max_sessions_per_caller: int = 0
    """0 = no limit of its own."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Sessions since the start: opened == closed + expired + lost + active, always; parked ones are active."""

    opened: int = 0
    closed: int = 0
    expired: int = 0
    lost: int = 0
    active: int = 0
    parked: int = 0


class SessionStore:
    """Sessions by unguessable id, admitted by number and bytes, closed when silent for too long.

    Safe to use from several threads. Calls to the engine are made in ``turns``; no lock of the store is held then.
    """

    def __init__(self, rules: Rules, budget: Budget, turns: Turns, clock: Callable[[], float]) -> None:
        self.rules = rules
        self.budget = budget
        self._turns = turns
        self._clock = clock
        self._changed = threading.Condition()
        self._sessions: dict[str, StoredSession] = {}
        self._opened = 0
        self._ended = dict.fromkeys(End, 0)

    @property
    def counters(self) -> Counters:
        """How many sessions were opened, and where they are now."""
        with self._changed:
            active = [session for session in self._sessions.values() if session.is_open]
            ended = {end.value: count for end, count in self._ended.items()}
            parked = sum(session.snapshot is not None for session in active)
            return Counters(self._opened, active=len(active), parked=parked, **ended)

    @property
    def state_bytes(self) -> int:
        """Bytes on the device that the sessions hold, as they were admitted."""
        with self._changed:
            return sum(session.state_bytes for session in self._sessions.values())

    def snapshots_bytes(self) -> int:
        """Bytes of host memory that parked sessions take."""
        with self._changed:
            return sum(s.snapshot.nbytes for s in self._sessions.values() if s.snapshot is not None)

    def admit(self, admission: Admission, make: Callable[[], EngineSession], caller: str = "") -> StoredSession:
        """Open a session when no session, the new one included, can then run out of memory.

        Raises :class:`TooLarge` when it would not fit an empty server, :class:`Busy` when it does not fit now.
        """
        if not self.budget.fits([admission.plan]):
            raise TooLarge(
                f"A session of {admission.plan.peak_bytes} bytes at its peak passes the server's {self.budget.total}: "
                "send smaller pictures or ask for a smaller scale."
            )
        self.expire()
        session = self._reserve(admission, caller)
        try:
            with self._turns.take():
                session.engine = make()
        except BaseException:
            with self._changed:
                del self._sessions[session.id]
            raise
        with self._changed:
            self._opened += 1
            self._release(session)
        return session

    @contextmanager
    def use(self, session_id: str, caller: str = "") -> Iterator[StoredSession]:
        """Give the session of that id to one thread, which it cannot expire under.

        Raises :class:`NoSession`, also for another caller's; :class:`Busy` while it is in use elsewhere for long.
        """
        self.expire()
        with self._changed:
            session = self._find(session_id, caller)
            if not self._changed.wait_for(lambda: not session.in_use, USE_WAIT_S):
                raise Busy("The session is still at work on another request: try again.")
            if session.ending is not None:
                raise _unknown(session_id)
            session.in_use = True
            session.patience_s = self.rules.idle_timeout_s
        try:
            yield session
        finally:
            with self._changed:
                self._release(session)
                ends = session.ending is not None
            if ends:
                self._free(session)

    @contextmanager
    def claimed(self, session: StoredSession) -> Iterator[bool]:
        """Use a session without counting as a sign of life of its client; False when it is in use or at its end."""
        with self._changed:
            ours = not session.in_use and session.ending is None
            session.in_use = ours or session.in_use
        try:
            yield ours
        finally:
            if ours:
                with self._changed:
                    session.in_use = False
                    self._changed.notify_all()
                    ends = session.ending is not None
                if ends:
                    self._free(session)

    def close(self, session_id: str, end: End = End.CLOSED) -> None:
        """Free a session, at the end of its use if it is in use. Nothing happens when it is gone."""
        with self._changed:
            session = self._sessions.get(session_id)
            if session is None or session.ending is not None:
                return
            session.ending = end
            if session.in_use:
                return
        self._free(session)

    def abandon(self, session_id: str, patience_s: float) -> None:
        """Expect the session's client, who went away, back within so many seconds, or not at all."""
        with self._changed:
            if (session := self._sessions.get(session_id)) is not None:
                session.patience_s = min(session.patience_s, patience_s)

    def hasten(self, patience_s: float) -> None:
        """Let every session that is silent for so long expire: the server is to stop."""
        for session_id in list(self._sessions):
            self.abandon(session_id, patience_s)

    def expire(self) -> int:
        """Close the sessions that were silent for too long; return how many."""
        with self._changed:
            now = self._clock()
            idle = [s for s in self._idle() if self._silence(s, now) > s.patience_s]
            for session in idle:
                session.ending = End.EXPIRED
        for session in idle:
            self._free(session)
        return len(idle)

    def close_all(self, end: End = End.LOST) -> None:
        """End every session."""
        for session_id in list(self._sessions):
            self.close(session_id, end)

    def age(self, session: StoredSession) -> float:
        """Seconds since a session was opened."""
        return self._clock() - session.opened_at

    def silent(self, seconds: float) -> list[StoredSession]:
        """Sessions on the device that were not used for so long and have a state."""
        with self._changed:
            now = self._clock()
            return [s for s in self._idle() if s.state_bytes and now - s.last_used > seconds]

    def make_room(self, session: StoredSession) -> None:
        """Count a parked session, which the caller uses, as on the device. Raises :class:`Busy` without room."""
        with self._changed:
            self._require_room(session.admission)
            session.resident = True

    def _reserve(self, admission: Admission, caller: str) -> StoredSession:
        with self._changed:
            if len(self._sessions) >= self.rules.max_sessions:
                raise Busy(f"All {self.rules.max_sessions} sessions are taken: try again, or another server.")
            own = sum(session.caller == caller for session in self._sessions.values())
            if caller and 0 < self.rules.max_sessions_per_caller <= own:
                raise Busy(f"{own} sessions are open under this token, which is all that it may have: close one.")
            self._require_room(admission)
            session = StoredSession(
                secrets.token_urlsafe(ID_BYTES), caller, admission, self._clock(), self.rules.idle_timeout_s
            )
            self._sessions[session.id] = session
            return session

    def _require_room(self, admission: Admission) -> None:
        plans = [s.admission.plan for s in self._sessions.values() if s.state_bytes]
        if not self.budget.fits([*plans, admission.plan]):
            needed = self.budget.needed([*plans, admission.plan])
            raise Busy(f"With this session {needed} of {self.budget.total} bytes would be needed: try again.")

    def _silence(self, session: StoredSession, now: float) -> float:
        """Seconds for which a session was silent while it could have spoken.

        A chunk that waits in TorchServe's queue behind other sessions' is not seen here, so time in which the engine
        was busy does not count, but for a quarter: a client that is gone does not keep its session under load.
        """
        silent = now - session.last_used
        if session.patience_s < self.rules.idle_timeout_s:  # its client is known to be gone, or the server is to stop
            return silent
        return max(silent - (self._turns.busy_for() - session.busy_before), silent / BUSY_SHARE)

    def _idle(self) -> Iterator[StoredSession]:
        return (s for s in self._sessions.values() if not s.in_use and s.ending is None)

    def _find(self, session_id: str, caller: str) -> StoredSession:
        session = self._sessions.get(session_id)
        if session is None or session.caller != caller or not session.is_open or session.ending is not None:
            raise _unknown(session_id)
        return session

    def _release(self, session: StoredSession) -> None:
        session.in_use = False
        session.last_used, session.busy_before = self._clock(), self._turns.busy_for()
        self._changed.notify_all()

    def _free(self, session: StoredSession) -> None:
        """Free what the engine holds, and only then the room for it."""
        assert session.ending is not None
        try:
            with self._turns.take():
                session.engine.close()
        finally:
            with self._changed:
                del self._sessions[session.id]
                self._ended[session.ending] += 1
                self._changed.notify_all()


def _unknown(session_id: str) -> NoSession:
    return NoSession(f"Session {session_id[:8]!r}... is unknown, closed or expired: open another.")
