"""Silent sessions wait in host memory, so that others have the device; they come back exactly as they were."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from flashvsr_engine.errors import EngineError, OutOfMemoryError

from flashvsr_handler.errors import Busy
from flashvsr_handler.protocols import Engine
from flashvsr_handler.sessions import SessionStore
from flashvsr_handler.stored import StoredSession
from flashvsr_handler.turns import Turns

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parking:
    """Moves sessions of a store off the device and back."""

    store: SessionStore
    engine: Engine
    turns: Turns
    after_s: float
    """Seconds of silence; 0 = nothing is parked."""
    bytes_budget: int
    """Host memory for all of it."""

    def park_silent(self) -> int:
        """Park every session that has been silent for long, as far as host memory may be taken; return how many."""
        if self.after_s == 0:
            return 0
        return sum(self._park(session) for session in self.store.silent(self.after_s))

    def bring_back(self, session: StoredSession) -> None:
        """Put a parked session, which the caller uses, on the device again. Raises Busy when there is no room."""
        if session.snapshot is None:
            return
        self.store.make_room(session)
        try:
            with self.turns.take():
                session.engine = self.engine.resume(session.snapshot)
        except OutOfMemoryError as error:  # something else took the device's memory
            session.resident = False
            raise Busy("The device has no memory left for this session now: repeat the chunk.") from error
        except BaseException:
            session.resident = False
            raise
        session.snapshot = None

    def _park(self, session: StoredSession) -> bool:
        with self.store.claimed(session) as ours:
            room = self.bytes_budget - self.store.snapshots_bytes()
            if not ours or not 0 < session.state_bytes <= room:  # zero: another thread parked it first
                return False
            try:
                with self.turns.take():
                    session.snapshot = session.engine.snapshot()
                    session.engine.close()
            except (EngineError, MemoryError) as error:
                logger.warning("A silent session could not be parked: %s", error)
                return False
            session.resident = False
            return True
