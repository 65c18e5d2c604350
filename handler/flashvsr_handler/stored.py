"""One session as the store remembers it. Knows neither torch nor TorchServe."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from flashvsr_handler.admission import Admission
from flashvsr_handler.errors import OutOfOrder
from flashvsr_handler.protocols import EngineSession, Made, Snapshot

IN_FLIGHT: Final = 2
"""Chunks that a client may have under way: one that runs and one that is queued. Either may have to be repeated."""


class End(Enum):
    """How a session ended, under the names that metrics use."""

    CLOSED = "closed"
    """By its client."""
    EXPIRED = "expired"
    """Silent for too long."""
    LOST = "lost"
    """Broken, or cut off."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a chunk gave, kept for a while so that a repeated request gets it again."""

    chunk_index: int
    outputs: tuple[Made, ...]
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
    caller: str
    """Whose it is; "" where nobody is asked who calls."""
    admission: Admission
    opened_at: float
    patience_s: float
    """It expires when it is silent for longer."""
    last_used: float = 0.0
    busy_before: float = 0.0
    """Seconds that the engine had been busy when it was last used."""
    next_index: int = 0
    carrier: str = ""
    """The connection by which its client was last heard; "" for one whose end nobody notices."""
    answers: tuple[Answer, ...] = ()
    """Of the last chunks, as many as a client may have under way."""
    flushed: bool = False
    in_use: bool = True
    resident: bool = True
    """Whether its state takes room on the device."""
    snapshot: Snapshot | None = field(default=None, repr=False)
    """Its state, while it is parked."""
    ending: End | None = None
    """Why it ends, as soon as nobody uses it."""
    _engine: EngineSession | None = field(default=None, repr=False)

    @property
    def engine(self) -> EngineSession:
        """Its stream in the engine, once that is open."""
        assert self._engine is not None
        return self._engine

    @engine.setter
    def engine(self, opened: EngineSession) -> None:
        self._engine = opened

    @property
    def is_open(self) -> bool:
        """Whether the engine opened it: a session that is only admitted is not in the books yet."""
        return self._engine is not None

    @property
    def state_bytes(self) -> int:
        """Bytes on the device between calls; the engine frees a stream that was flushed."""
        return self.admission.plan.state_bytes if self.resident and not self.flushed else 0

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
