"""The session store: admission, expiry, the order of chunks, and its books."""

from __future__ import annotations

import subprocess
import sys

import pytest
from flashvsr_handler.admission import Admission
from flashvsr_handler.errors import Busy, NoSession, OutOfOrder, TooLarge
from flashvsr_handler.sessions import Answer, SessionStore
from flashvsr_proto.v1 import stream_pb2 as pb
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.unit.handler.fake_engine import FakePlan, FakeSession

ADMISSION = Admission(pb.Open(width=16, height=16), FakePlan(64, 64, state_bytes=1000, peak_bytes=1500), 8)


def make() -> FakeSession:
    return FakeSession(4, None, (16, 16))


def test_sessions_are_admitted_by_number() -> None:
    store = SessionStore(2, 10**6, 60, lambda: 0.0)
    first = store.admit(ADMISSION, make)
    store.admit(ADMISSION, make)
    with pytest.raises(Busy, match="All 2 sessions"):
        store.admit(ADMISSION, make)
    store.close(first.id)
    store.admit(ADMISSION, make)


def test_sessions_are_admitted_by_bytes() -> None:
    store = SessionStore(9, 2500, 60, lambda: 0.0)
    store.admit(ADMISSION, make)
    store.admit(ADMISSION, make)  # 1000 held, 1500 at the peak of the second
    with pytest.raises(Busy, match="2000 of 2500 bytes"):
        store.admit(ADMISSION, make)
    with pytest.raises(TooLarge, match="1500 bytes"):
        SessionStore(9, 1499, 60, lambda: 0.0).admit(ADMISSION, make)


def test_an_engine_that_cannot_open_costs_nothing() -> None:
    store = SessionStore(1, 10**6, 60, lambda: 0.0)

    def fail() -> FakeSession:
        raise MemoryError

    with pytest.raises(MemoryError):
        store.admit(ADMISSION, fail)
    store.admit(ADMISSION, make)


def test_a_session_in_use_does_not_expire() -> None:
    now = [0.0]
    store = SessionStore(1, 10**6, 10, lambda: now[0])
    session = store.admit(ADMISSION, make)
    with store.use(session.id):
        now[0] = 100
        assert store.expire() == 0
    assert store.expire() == 0  # it was used until now
    now[0] = 110.5
    assert store.expire() == 1
    with pytest.raises(NoSession), store.use(session.id):
        pass


def test_chunks_come_in_order_or_again() -> None:
    session = SessionStore(1, 10**6, 10, lambda: 0.0).admit(ADMISSION, make)
    assert session.repeated(0) is None
    with pytest.raises(OutOfOrder, match="send 0 next"):
        session.repeated(1)
    answers = [Answer(index, (), 0, 0) for index in range(3)]
    for answer in answers:
        session.remember(answer)
        assert session.repeated(answer.chunk_index) is answer
    assert session.repeated(1) is answers[1]  # a client has two chunks under way, and may have to repeat both
    assert session.repeated(3) is None
    for index in (0, 4):
        with pytest.raises(OutOfOrder, match="send 3 next"):
            session.repeated(index)


def test_ids_cannot_be_guessed() -> None:
    store = SessionStore(100, 10**6, 10, lambda: 0.0)
    ids = {store.admit(ADMISSION, make).id for _ in range(100)}
    assert len(ids) == 100
    assert min(map(len, ids)) >= 24


def test_the_store_needs_no_torch() -> None:
    program = "import sys, flashvsr_handler.sessions; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


class StoreMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, the books balance and what left the store is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.store = SessionStore(3, 3500, 10, lambda: self.now)
        self.made: list[FakeSession] = []
        self.ids: list[str] = []

    def make(self) -> FakeSession:
        self.made.append(make())
        return self.made[-1]

    @rule()
    def open(self) -> None:
        try:
            self.ids.append(self.store.admit(ADMISSION, self.make).id)
        except Busy:
            assert self.store.counters.active >= 3

    @rule(pick=st.integers(0, 20), lost=st.booleans())
    def close(self, pick: int, lost: bool) -> None:
        if self.ids:
            self.store.close(self.ids[pick % len(self.ids)], lost=lost)

    @rule(pick=st.integers(0, 20))
    def use(self, pick: int) -> None:
        if self.ids:
            try:
                with self.store.use(self.ids[pick % len(self.ids)]) as session:
                    assert not session.engine.closed  # type: ignore[attr-defined]
            except NoSession:
                pass

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def expire(self) -> None:
        self.store.expire()

    @invariant()
    def books_balance(self) -> None:
        counters = self.store.counters
        assert counters.opened == counters.closed + counters.expired + counters.lost + counters.active
        assert counters.opened == len(self.made)
        assert sum(not session.closed for session in self.made) == counters.active
        assert self.store.state_bytes == 1000 * counters.active


StoreMachine.TestCase.settings = settings(max_examples=25, deadline=None)
TestStore = StoreMachine.TestCase
