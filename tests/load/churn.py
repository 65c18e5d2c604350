"""Sessions opened and ended in every way, thousands of times, from several threads, on an engine that takes no time.

    python -m tests.load.churn --sessions 10000

prints as JSON how many ended how, what grew and how fast it went; fails when the books do not balance, a byte, a
thread or a descriptor is left, or a frame is missing or is somebody else's.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import random
import sys
import threading
import time
from dataclasses import asdict, dataclass

import numpy as np
import psutil  # type: ignore[import-untyped]
from flashvsr_handler.service import Service
from flashvsr_handler.settings import Settings
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.unit.handler.fake_engine import FakeEngine

SIDE, SCALE = 16, 2
ENDS = ("close", "abandon", "break", "park", "leave", "clip")


@dataclass(frozen=True)
class Outcome:
    """What a churn did and what it left."""

    opened: int
    busy: int
    closed: int
    expired: int
    lost: int
    seconds: float
    grown_mb: float
    left_bytes: int
    left_threads: int
    left_descriptors: int

    @property
    def clean(self) -> bool:
        """Whether nothing is left of any session."""
        return (self.left_bytes, self.left_threads, self.left_descriptors) == (0, 0, 0)


class _Clock:
    """Time that passes as fast as sessions come and go: sixty silent seconds in two hundred requests."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Churn:
    def __init__(self, sessions: int) -> None:
        self.clock = _Clock()
        self.engine = FakeEngine()
        settings = Settings(idle_timeout_s=60, park_after_s=20, reconnect_s=5, max_sessions=8)
        self.service = Service(self.engine, "cpu", 6500, settings, self.clock, 3000)
        self.lock = threading.Lock()
        self.wanted, self.busy = sessions, 0
        self.errors: list[BaseException] = []

    def work(self, seed: int) -> None:
        rng = random.Random(seed)
        try:
            while self._more():
                self._session(rng)
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits for the thread
            self.errors.append(error)

    def _more(self) -> bool:
        with self.lock:
            self.engine.sessions[:] = [s for s in self.engine.sessions if not s.closed]
            self.clock.now += 0.3
            return self.service.store.counters.opened < self.wanted and not self.errors

    def _ask(self, **body: object) -> list[pb.StreamResponse]:
        request = pb.StreamRequest(protocol_version=1, **body)  # type: ignore[arg-type]
        return list(self.service.handle(request.SerializeToString(), many=True))

    def _session(self, rng: random.Random) -> None:
        end, colour = rng.choice(ENDS), rng.randrange(256)
        frames = np.full((30, SIDE, SIDE, 3), colour, np.uint8)
        opening = pb.Open(width=SIDE, height=SIDE, scale=SCALE)
        if end == "clip":
            _came(self._ask(clip=pb.Clip(open=opening, frames=wire.encode(frames))), colour, 30, self)
            return
        (opened,) = self._ask(open=opening)
        if opened.error.code == pb.ERROR_CODE_BUSY:
            with self.lock:
                self.busy += 1
                self.clock.now += 1
            self.service.housekeep()
            return
        session = opened.session_id
        if end == "leave":
            return  # never heard of again
        if not _came(self._ask(session_id=session, frames=wire.encode(frames)), colour, 21, self):
            self._ask(session_id=session, close=pb.Close())  # parked before it began, and no room to come back
            return
        if end == "abandon":
            self.service.store.carried(session, "", session)  # as if by a connection of its own
            self.service.store.abandon(session, 5)
            return
        if end == "park":
            with self.lock:
                self.clock.now += 21
            self.service.housekeep()
        if end == "break":
            for made in list(self.engine.sessions):
                if made.waiting and made.waiting[0][0, 0, 0] == colour:
                    made.fault = RuntimeError("broken on purpose")
        _came(self._ask(session_id=session, chunk_index=1, flush=pb.Flush()), colour, 9, self)
        self._ask(session_id=session, close=pb.Close())


def _came(answers: list[pb.StreamResponse], colour: int, count: int, churn: _Churn) -> bool:
    """Whether exactly the frames came that were asked for; else a refusal that is typed must have."""
    last = answers[-1]
    if last.HasField("error"):
        allowed = (pb.ERROR_CODE_BUSY, pb.ERROR_CODE_NO_SESSION, pb.ERROR_CODE_SESSION_LOST)
        assert last.error.code in allowed, last.error
        with churn.lock:
            churn.busy += last.error.code == pb.ERROR_CODE_BUSY
        return False
    made = np.concatenate([wire.decode(a.frames) for a in answers if a.HasField("frames")])
    assert len(made) == count, (len(made), count)
    assert (made == colour).all(), "another session's frames"
    return True


def churn(sessions: int, threads: int = 4) -> Outcome:
    """Churn until so many sessions were opened; raise what went wrong."""
    process = psutil.Process()
    run = _Churn(sessions)
    warm = _Churn(50)
    warm.work(0)
    gc.collect()
    before = (threading.active_count(), process.num_fds(), process.memory_info().rss)
    started = time.perf_counter()
    workers = [threading.Thread(target=run.work, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - started
    if run.errors:
        raise run.errors[0]
    run.clock.now += 1000
    run.service.housekeep()
    gc.collect()
    store = run.service.store
    counters = store.counters
    assert counters.opened == counters.closed + counters.expired + counters.lost + counters.active
    assert counters.active == 0
    return Outcome(
        opened=counters.opened,
        busy=run.busy,
        closed=counters.closed,
        expired=counters.expired,
        lost=counters.lost,
        seconds=seconds,
        grown_mb=(process.memory_info().rss - before[2]) / 1e6,
        left_bytes=store.state_bytes + store.snapshots_bytes(),
        left_threads=threading.active_count() - before[0],
        left_descriptors=process.num_fds() - before[1],
    )


def main() -> None:
    """Churn as often as the command line says and print the outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=4)
    options = parser.parse_args()
    logging.disable()  # sessions that break on purpose say so
    outcome = churn(options.sessions, options.threads)
    print(json.dumps(asdict(outcome)))
    sys.exit(not outcome.clean)


if __name__ == "__main__":
    main()
