"""Clients that upscale one film after the other and check each frame: what a fault must not be able to spoil."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flashvsr_client import Access, Client, ClientError
from flashvsr_client.session import Session

from bench.chaos.films import HEIGHT, SCALE, WIDTH, Film, Picture, WrongFrameError
from bench.chaos.tally import Gate, Tally

OPEN_AGAIN_S: Final = 0.5
PAUSE_S: Final = 3.0
"""Longer than a session may be silent before it is parked."""


@dataclass(frozen=True)
class Habit:
    """How a viewer watches."""

    name: str
    direct: bool
    fps: float = 0.0
    """At which its pictures come; 0: as fast as they are taken."""
    pauses: float = 0.0
    """The share of its films in which nothing comes for :data:`PAUSE_S`."""


HABITS: Final = (
    Habit("direct", direct=True),
    Habit("torchserve", direct=False),
    Habit("direct, live", direct=True, fps=30.0, pauses=0.3),
    Habit("torchserve, live", direct=False, fps=30.0, pauses=0.3),
)


class Viewer(threading.Thread):
    """One client for the whole time, as a long-lived service has it."""

    def __init__(self, number: int, habit: Habit, address: str, gate: Gate, tally: Tally, seed: int) -> None:
        super().__init__(name=habit.name, daemon=True)
        self._numbers = iter(range(number, 1 << 24, len(HABITS) + 1))
        self._habit = habit
        self._address = address
        self._gate = gate
        self._tally = tally
        self._rng = random.Random(seed * 1000 + number)

    def run(self) -> None:
        """Watch until the gate ends it."""
        with Client(self._address, access=Access(direct=self._habit.direct)) as client:
            while self._gate.enter():
                try:
                    self._watch(client, Film(next(self._numbers), self._rng.randint(30, 160)))
                finally:
                    self._gate.leave()

    def _watch(self, client: Client, film: Film) -> None:
        try:
            session = client.open_session(WIDTH, HEIGHT, scale=SCALE)
        except ClientError as error:  # nothing of the film is lost: asked for again, as a user would
            self._tally.count(opens_refused=1)
            self._tally.count(**{f"refused: {type(error).__name__}": 1})
            time.sleep(OPEN_AGAIN_S)
            return
        with session:
            try:
                self._check(session, film)
            except WrongFrameError as error:
                self._tally.violated(f"{self.name}: {error}")
            except ClientError as error:
                self._tally.violated(f"{self.name}: film {film.number} failed: {type(error).__name__}: {error}")
            self._tally.count(sessions_replaced=len(session.notes))

    def _check(self, session: Session, film: Film) -> None:
        last, count = time.monotonic(), 0
        for index, frame in enumerate(session.upscale(self._source(film))):
            film.check(index, frame)
            now, count = time.monotonic(), count + 1
            self._tally.gap(now - last)
            last = now
        if count != film.length:
            raise WrongFrameError(f"film {film.number}: {count} of {film.length} frames came")
        self._tally.count(films=1, frames=count)

    def _source(self, film: Film) -> Iterator[Picture]:
        pause = self._rng.randrange(film.length) if self._rng.random() < self._habit.pauses else -1
        start = time.monotonic()
        for index, picture in enumerate(film.frames()):
            if index == pause:
                time.sleep(PAUSE_S)
            if self._habit.fps:
                time.sleep(max(0.0, start + index / self._habit.fps - time.monotonic()))
            yield picture
