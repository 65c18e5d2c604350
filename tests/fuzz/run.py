"""Nearly right input into the codec and the service, until the time or the number is up.

    python -m tests.fuzz.run --inputs 1000000 --minutes 10

Fails at the first input that raises anything but WireError in the codec, that the service does not answer with
messages that can be read, or after which the books do not balance, and when one takes over a second of work; the
seed and the number of the input say how to have it again. Prints what the inputs came to, and the process's growth.
"""

from __future__ import annotations

import argparse
import logging
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import psutil  # type: ignore[import-untyped]
from flashvsr_handler.service import Service
from flashvsr_handler.settings import Settings
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.fuzz import mutate
from tests.unit.handler.fake_engine import FakeEngine

SLOW_S = 1.0
WARM = 2000
"""Inputs before memory counts."""


@dataclass
class Report:
    """What a run came to."""

    inputs: int = 0
    seconds: float = 0.0
    grown_mb: float = 0.0
    slowest_ms: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)


class _Target:
    """A codec and a service with some open sessions."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.now = 0.0
        settings = Settings(max_sessions=4, idle_timeout_s=60, park_after_s=20, max_chunk_frames=64)
        self.service = Service(self.engine, "cpu", 10_000, settings, lambda: self.now, 10_000)
        self.sessions: list[str] = []

    def codec(self, rng: random.Random) -> str:
        """Decode damaged frames; what is decoded must survive the way back."""
        message = mutate.frames(rng)
        data = message.SerializeToString()
        if rng.random() < 0.8:
            data = mutate.damaged(data, rng)
        try:
            parsed = wire.parse(pb.Frames, data)
            pictures = wire.decode(parsed)
        except wire.WireError:
            return "codec: refused"
        assert pictures.nbytes <= 2 * len(data) + 64, "more memory than the message explains"
        if pictures.size:
            again = wire.decode(wire.encode(pictures, pb.PIXEL_FORMAT_RGB24))
            assert np.array_equal(again, pictures)
        return "codec: decoded"

    def ask(self, rng: random.Random) -> str:
        """Send a request that is nearly right, in one of both ways."""
        self.now += rng.random()
        if rng.random() < 0.02:
            self.now += 30
            self.service.housekeep()
        data = mutate.message(rng, self.sessions).SerializeToString()
        if rng.random() < 0.3:
            data = mutate.damaged(data, rng)
        answers = [wire.parse(pb.StreamResponse, a.SerializeToString()) for a in self._answers(data, rng)]
        if answers and answers[-1].HasField("opened"):
            self.sessions = [*self.sessions[-7:], answers[-1].session_id]
        self.engine.sessions[:] = [made for made in self.engine.sessions if not made.closed]
        if not answers:
            return "service: left early"
        last = answers[-1]
        assert all(not answer.HasField("error") for answer in answers[:-1]), "an error is the last message"
        if last.error.code == pb.ERROR_CODE_INTERNAL:
            raise AssertionError(f"the service failed: {last.error.message}")
        return f"service: {pb.ErrorCode.Name(last.error.code) if last.HasField('error') else last.WhichOneof('body')}"

    def _answers(self, data: bytes, rng: random.Random) -> list[pb.StreamResponse]:
        answer = self.service.handle(data, many=rng.random() < 0.8)
        if rng.random() < 0.05:  # a client that leaves in mid-answer
            next(answer)
            answer.close()  # type: ignore[attr-defined]
            return []
        return list(answer)

    def check_books(self) -> None:
        """Compare what the store says with what the engine has."""
        counters = self.service.store.counters
        assert counters.opened == counters.closed + counters.expired + counters.lost + counters.active
        assert counters.active <= 4
        assert sum(not made.closed for made in self.engine.sessions) == counters.active - counters.parked


def fuzz(inputs: int, minutes: float, seed: int = 0) -> Report:
    """Try so many inputs, or for so long. Raises what an input brought to light, with its number."""
    logging.getLogger("flashvsr_handler").disabled = True
    target, report = _Target(), Report()
    process, began, before = psutil.Process(), time.monotonic(), 0
    while report.inputs < inputs and time.monotonic() - began < 60 * minutes:
        rng = random.Random(f"{seed}:{report.inputs}")
        started = time.process_time()  # other work on the machine is no fault of an input
        try:
            outcome = target.codec(rng) if report.inputs % 2 else target.ask(rng)
            target.check_books()
        except Exception as error:
            raise AssertionError(f"input {report.inputs} of seed {seed}: {error}") from error
        took = time.process_time() - started
        report.slowest_ms = max(report.slowest_ms, 1000 * took)
        report.outcomes[outcome] += 1
        report.inputs += 1
        if report.inputs == WARM:
            before = process.memory_info().rss
    report.seconds = time.monotonic() - began
    report.grown_mb = (process.memory_info().rss - before) / 1e6 if before else 0.0
    return report


def main() -> None:
    """Fuzz as the command line says and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    report = fuzz(options.inputs, options.minutes, options.seed)
    slowest, grown = f"slowest {report.slowest_ms:.0f} ms", f"grown {report.grown_mb:.1f} MB"
    print(f"{report.inputs} inputs in {report.seconds:.0f} s, {slowest}, {grown}")
    for outcome, count in sorted(report.outcomes.items()):
        print(f"{count:9} {outcome}")
    if report.slowest_ms > 1000 * SLOW_S:
        raise SystemExit(f"an input took {report.slowest_ms:.0f} ms")


if __name__ == "__main__":
    main()
