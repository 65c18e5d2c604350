"""The book of sessions: which there are, who may have another, how much room they take. Calls no engine."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flashvsr_handler.admission import Admission
from flashvsr_handler.budget import Budget
from flashvsr_handler.errors import Busy, NoSession, TooLarge
from flashvsr_handler.protocols import EngineSession
from flashvsr_handler.stored import End, StoredSession

ID_BYTES: Final = 18


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


class Book:
    """Sessions by unguessable id. Every method wants ``changed`` held, whose waiters are told of what ended."""

    def __init__(self, rules: Rules, budget: Budget) -> None:
        self.changed = threading.Condition()
        self._rules = rules
        self._budget = budget
        self._sessions: dict[str, StoredSession] = {}
        self._opened = 0
        self._ended = dict.fromkeys(End, 0)

    def counters(self) -> Counters:
        """How many sessions were opened, and where they are now."""
        active = [session for session in self._sessions.values() if session.is_open]
        ended = {end.value: count for end, count in self._ended.items()}
        parked = sum(session.snapshot is not None for session in active)
        return Counters(self._opened, active=len(active), parked=parked, **ended)

    def all(self) -> list[StoredSession]:
        """Every session, those included that are only admitted yet."""
        return list(self._sessions.values())

    def idle(self) -> Iterator[StoredSession]:
        """Those that nobody uses and that are not at their end."""
        return (s for s in self._sessions.values() if not s.in_use and s.ending is None)

    def get(self, session_id: str) -> StoredSession | None:
        """The session of that id, whoever asks."""
        return self._sessions.get(session_id)

    def find(self, session_id: str, caller: str) -> StoredSession:
        """The session of that id and caller, open and not at its end. Raises :class:`NoSession`."""
        session = self._sessions.get(session_id)
        if session is None or session.caller != caller or not session.is_open or session.ending is not None:
            raise unknown(session_id)
        return session

    def require_possible(self, admission: Admission) -> None:
        """Raise :class:`TooLarge` for a session that would not fit an empty server."""
        if not self._budget.fits([admission.plan]):
            raise TooLarge(
                f"A session of {admission.plan.peak_bytes} bytes at its peak passes the server's {self._budget.total}: "
                "send smaller pictures or ask for a smaller scale."
            )

    def require_room(self, admission: Admission) -> None:
        """Raise :class:`Busy` when, with that session on the device, one could run out of memory."""
        plans = [s.admission.plan for s in self._sessions.values() if s.state_bytes]
        if not self._budget.fits([*plans, admission.plan]):
            needed = self._budget.needed([*plans, admission.plan])
            raise Busy(f"With this session {needed} of {self._budget.total} bytes would be needed: try again.")

    def reserve(self, admission: Admission, caller: str, now: float) -> StoredSession:
        """Enter a session that the engine is to open. Raises :class:`Busy` when there is no place for it."""
        if len(self._sessions) >= self._rules.max_sessions:
            raise Busy(f"All {self._rules.max_sessions} sessions are taken: try again, or another server.")
        own = sum(session.caller == caller for session in self._sessions.values())
        if caller and 0 < self._rules.max_sessions_per_caller <= own:
            raise Busy(f"{own} sessions are open under this token, which is all that it may have: close one.")
        self.require_room(admission)
        session = StoredSession(secrets.token_urlsafe(ID_BYTES), caller, admission, now, self._rules.idle_timeout_s)
        self._sessions[session.id] = session
        return session

    def opened(self, session: StoredSession, engine: EngineSession) -> None:
        """Count a session that the engine opened."""
        session.engine = engine
        self._opened += 1

    def withdraw(self, session: StoredSession) -> None:
        """Take a session out that the engine could not open: it never was."""
        del self._sessions[session.id]

    def strike(self, session: StoredSession) -> None:
        """Take a session out, counted by how it ended."""
        assert session.ending is not None
        del self._sessions[session.id]
        self._ended[session.ending] += 1
        self.changed.notify_all()


def unknown(session_id: str) -> NoSession:
    """What is said of a session that there is not, or not for that caller."""
    return NoSession(f"Session {session_id[:8]!r}... is unknown, closed or expired: open another.")
