"""The sessions that are open: how many, how large, how long silent. Knows neither torch nor TorchServe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from flashvsr_handler.admission import Admission
from flashvsr_handler.book import Book, Counters, Rules, unknown
from flashvsr_handler.budget import Budget
from flashvsr_handler.errors import Busy
from flashvsr_handler.protocols import EngineSession
from flashvsr_handler.silence import Silence
from flashvsr_handler.stored import End, StoredSession
from flashvsr_handler.turns import Turns

USE_WAIT_S: Final = 60.0
"""How long a request waits for another one of the same session, such as a repetition for the original."""

__all__ = ["Counters", "Rules", "SessionStore"]


class SessionStore:
    """Sessions by unguessable id, admitted by number and bytes, closed when silent for too long.

    Safe to use from several threads. Calls to the engine are made in ``turns``; no lock of the store is held then.
    """

    def __init__(self, rules: Rules, budget: Budget, turns: Turns, clock: Callable[[], float]) -> None:
        self.rules = rules
        self.budget = budget
        self._turns = turns
        self._clock = clock
        self._silence = Silence(rules.idle_timeout_s, turns, clock)
        self._book = Book(rules, budget)
        self._changed = self._book.changed

    @property
    def counters(self) -> Counters:
        """How many sessions were opened, and where they are now."""
        with self._changed:
            return self._book.counters()

    @property
    def state_bytes(self) -> int:
        """Bytes on the device that the sessions hold, as they were admitted."""
        with self._changed:
            return sum(session.state_bytes for session in self._book.all())

    def snapshots_bytes(self) -> int:
        """Bytes of host memory that parked sessions take."""
        with self._changed:
            return sum(s.snapshot.nbytes for s in self._book.all() if s.snapshot is not None)

    def admit(self, admission: Admission, make: Callable[[], EngineSession], caller: str = "") -> StoredSession:
        """Open a session when no session, the new one included, can then run out of memory.

        Raises :class:`TooLarge` when it would not fit an empty server, :class:`Busy` when it does not fit now.
        """
        self._book.require_possible(admission)
        self.expire()
        with self._changed:
            session = self._book.reserve(admission, caller, self._clock())
        try:
            with self._turns.take():
                engine = make()
        except BaseException:
            with self._changed:
                self._book.withdraw(session)
            raise
        with self._changed:
            self._book.opened(session, engine)
            self._release(session)
        return session

    @contextmanager
    def use(self, session_id: str, caller: str = "") -> Iterator[StoredSession]:
        """Give the session of that id to one thread, which it cannot expire under.

        Raises :class:`NoSession`, also for another caller's; :class:`Busy` while it is in use elsewhere for long.
        """
        self.expire()
        with self._changed:
            session = self._book.find(session_id, caller)
            if not self._changed.wait_for(lambda: not session.in_use, USE_WAIT_S):
                raise Busy("The session is still at work on another request: try again.")
            if session.ending is not None:
                raise unknown(session_id)
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
            session = self._book.get(session_id)
            if session is None or not session.is_open or session.ending is not None:
                return
            session.ending = end
            if session.in_use:
                return
        self._free(session)

    def carried(self, session_id: str, caller: str, carrier: str) -> None:
        """Note by which connection the session's client, that caller, was last heard."""
        with self._changed:
            if (session := self._book.get(session_id)) is not None and session.caller == caller:
                session.carrier = carrier

    def abandon(self, carrier: str, patience_s: float) -> None:
        """Expect the clients last heard by a connection that ended back within so many seconds, or not at all."""
        with self._changed:
            for session in self._book.all():
                if session.carrier == carrier:
                    session.patience_s = min(session.patience_s, patience_s)

    def heard(self, session: StoredSession) -> None:
        """Note that a session's client takes what it asked for."""
        with self._changed:
            self._silence.broken(session)

    def hasten(self, patience_s: float) -> None:
        """Let every session that is silent for so long expire: the server is to stop."""
        with self._changed:
            for session in self._book.all():
                session.patience_s = min(session.patience_s, patience_s)

    def expire(self) -> int:
        """Close the sessions that were silent for too long; return how many."""
        with self._changed:
            idle = [session for session in self._book.idle() if self._silence.is_too_long(session)]
            for session in idle:
                session.ending = End.EXPIRED
        for session in idle:
            self._free(session)
        return len(idle)

    def close_all(self, end: End = End.LOST) -> None:
        """End every session."""
        with self._changed:
            sessions = self._book.all()
        for session in sessions:
            self.close(session.id, end)

    def age(self, session: StoredSession) -> float:
        """Seconds since a session was opened."""
        return self._clock() - session.opened_at

    def silent(self, seconds: float) -> list[StoredSession]:
        """Sessions on the device that were not used for so long and have a state."""
        with self._changed:
            now = self._clock()
            return [s for s in self._book.idle() if s.state_bytes and now - s.last_used > seconds]

    def make_room(self, session: StoredSession) -> None:
        """Count a parked session, which the caller uses, as on the device. Raises :class:`Busy` without room."""
        with self._changed:
            self._book.require_room(session.admission)
            session.resident = True

    def _release(self, session: StoredSession) -> None:
        session.in_use = False
        self._silence.broken(session)
        self._changed.notify_all()

    def _free(self, session: StoredSession) -> None:
        """Free what the engine holds, and only then the room for it."""
        assert session.ending is not None
        try:
            with self._turns.take():
                session.engine.close()
        finally:
            with self._changed:
                self._book.strike(session)
