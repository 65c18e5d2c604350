"""The session store: admission, expiry, the order of chunks, and its books."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from flashvsr_handler.admission import Admission
from flashvsr_handler.budget import Budget
from flashvsr_handler.errors import Busy, NoSession, OutOfOrder, TooLarge
from flashvsr_handler.sessions import Rules, SessionStore
from flashvsr_handler.stored import Answer, End
from flashvsr_handler.turns import Turns
from flashvsr_proto.v1 import stream_pb2 as pb
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.unit.handler.fake_engine import FakePlan, FakeSession

ADMISSION = Admission(pb.Open(width=16, height=16), FakePlan(64, 64, state_bytes=1000, peak_bytes=1500), 8)


def make() -> FakeSession:
    return FakeSession(4, None, (16, 16))


def new_store(most: int, budget: int, idle_s: float, clock: Callable[[], float], each: int = 0) -> SessionStore:
    return SessionStore(Rules(most, idle_s, each), Budget(budget), Turns(), clock)


def admission(state_bytes: int, peak_bytes: int) -> Admission:
    return Admission(pb.Open(width=16, height=16), FakePlan(64, 64, state_bytes=state_bytes, peak_bytes=peak_bytes), 8)


def test_sessions_are_admitted_by_number() -> None:
    store = new_store(2, 10**6, 60, lambda: 0.0)
    first = store.admit(ADMISSION, make)
    store.admit(ADMISSION, make)
    with pytest.raises(Busy, match="All 2 sessions"):
        store.admit(ADMISSION, make)
    store.close(first.id)
    store.admit(ADMISSION, make)


def test_sessions_are_admitted_by_bytes() -> None:
    store = new_store(9, 2500, 60, lambda: 0.0)
    store.admit(ADMISSION, make)
    store.admit(ADMISSION, make)  # 1000 held, 1500 at the peak of the second
    with pytest.raises(Busy, match="3500 of 2500 bytes"):
        store.admit(ADMISSION, make)
    with pytest.raises(TooLarge, match="1500 bytes"):
        new_store(9, 1499, 60, lambda: 0.0).admit(ADMISSION, make)


def test_a_small_session_does_not_take_the_room_that_a_large_one_needs_to_work() -> None:
    store = new_store(9, 120, 60, lambda: 0.0)
    store.admit(admission(40, 100), make)  # 60 of work: with another state of 30 it would need 130
    with pytest.raises(Busy, match="130 of 120 bytes"):
        store.admit(admission(30, 35), make)
    store.admit(admission(20, 25), make)


def test_recorded_chunks_are_counted_once_for_all_sessions() -> None:
    recorded = FakePlan(64, 64, state_bytes=10, peak_bytes=40, graph_bytes=30)
    assert Budget(0).needed([recorded]) == 70
    assert Budget(0).needed([recorded, recorded]) == 80


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), max_size=12), st.integers(50, 200))
def test_whichever_session_runs_the_budget_holds(sizes: list[tuple[int, int]], total: int) -> None:
    store, held = new_store(99, total, 60, lambda: 0.0), list[tuple[int, int]]()
    for state, work in sizes:
        try:
            store.admit(admission(state, state + work), make)
        except (Busy, TooLarge):
            continue
        held.append((state, work))
    states = sum(state for state, _ in held)
    assert all(states + work <= total for _, work in held)
    assert len(held) == store.counters.active


def test_a_session_belongs_to_its_caller() -> None:
    store = new_store(9, 10**6, 60, lambda: 0.0, each=1)
    mine = store.admit(ADMISSION, make, "me")
    with pytest.raises(NoSession), store.use(mine.id, "you"):
        pass
    with pytest.raises(Busy, match="under this token"):
        store.admit(ADMISSION, make, "me")
    store.admit(ADMISSION, make, "you")
    with store.use(mine.id, "me"):
        pass


def test_closing_a_session_in_use_waits_for_the_end_of_the_use() -> None:
    store = new_store(9, 10**6, 60, lambda: 0.0)
    session = store.admit(ADMISSION, make)
    with store.use(session.id):
        store.close(session.id)
        assert not session.engine.closed  # type: ignore[attr-defined]
        assert store.counters.active == 1
    assert session.engine.closed  # type: ignore[attr-defined]
    assert (store.counters.closed, store.counters.active) == (1, 0)


def test_a_repetition_waits_for_the_original() -> None:
    store = new_store(9, 10**6, 60, lambda: 0.0)
    session, order = store.admit(ADMISSION, make), list[str]()

    def repeat() -> None:
        with store.use(session.id):
            order.append("repetition")

    with store.use(session.id):
        thread = threading.Thread(target=repeat)
        thread.start()
        time.sleep(0.05)
        order.append("original")
    thread.join()
    assert order == ["original", "repetition"]


def test_who_went_away_has_less_time_unless_he_comes_back() -> None:
    now = [0.0]
    store = new_store(9, 10**6, 60, lambda: now[0])
    gone, back = store.admit(ADMISSION, make), store.admit(ADMISSION, make)
    for session in (gone, back):
        store.carried(session.id, "", "a stream")
    store.abandon("a stream", 5)
    with store.use(back.id):
        pass
    now[0] = 6
    assert store.expire() == 1
    assert store.counters.expired == 1
    with store.use(back.id):
        pass


def test_the_end_of_a_connection_concerns_its_own_sessions_alone() -> None:
    now = [0.0]
    store = new_store(9, 10**6, 60, lambda: now[0])
    alices, moved = store.admit(ADMISSION, make, "alice"), store.admit(ADMISSION, make, "bob")
    store.carried(alices.id, "bob", "bob's stream")
    store.carried(moved.id, "bob", "bob's stream")
    store.carried(moved.id, "bob", "bob's next stream")
    store.abandon("bob's stream", 5)
    now[0] = 6
    assert store.expire() == 0
    store.abandon("bob's next stream", 5)
    assert store.expire() == 1
    assert store.counters.active == 1


def test_who_reads_slowly_is_not_silent() -> None:
    now = [0.0]
    store = new_store(1, 10**6, 60, lambda: now[0])
    session = store.admit(ADMISSION, make)
    for now[0] in (50.0, 100.0, 150.0):
        store.heard(session)
    now[0] = 200.0
    assert store.expire() == 0
    now[0] = 211.0
    assert store.expire() == 1


def test_an_engine_that_cannot_open_costs_nothing() -> None:
    store = new_store(1, 10**6, 60, lambda: 0.0)

    def fail() -> FakeSession:
        raise MemoryError

    with pytest.raises(MemoryError):
        store.admit(ADMISSION, fail)
    store.admit(ADMISSION, make)


def test_a_session_in_use_does_not_expire() -> None:
    now = [0.0]
    store = new_store(1, 10**6, 10, lambda: now[0])
    session = store.admit(ADMISSION, make)
    with store.use(session.id):
        now[0] = 100
        assert store.expire() == 0
    assert store.expire() == 0  # it was used until now
    now[0] = 110.5
    assert store.expire() == 1
    with pytest.raises(NoSession), store.use(session.id):
        pass


def test_time_in_which_the_engine_was_busy_with_others_is_no_silence() -> None:
    now = [0.0]
    turns = Turns(lambda: now[0])
    store = SessionStore(Rules(9, 10, 0), Budget(10**6), turns, lambda: now[0])
    store.admit(ADMISSION, make)
    with turns.take():
        now[0] = 30
        assert store.expire() == 0
    now[0] = 39
    assert store.expire() == 0
    now[0] = 40.5  # 10.5 seconds in which it could have spoken
    assert store.expire() == 1


def test_a_session_whose_client_is_gone_ends_under_load_too() -> None:
    now = [0.0]
    turns = Turns(lambda: now[0])
    store = SessionStore(Rules(9, 10, 0), Budget(10**6), turns, lambda: now[0])
    store.admit(ADMISSION, make)
    with turns.take():
        now[0] = 40.5
    assert store.expire() == 1


def test_chunks_come_in_order_or_again() -> None:
    session = new_store(1, 10**6, 10, lambda: 0.0).admit(ADMISSION, make)
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
    store = new_store(100, 10**6, 10, lambda: 0.0)
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
        self.store = new_store(3, 3500, 10, lambda: self.now)
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
            assert self.store.counters.active >= 3  # 3500 bytes: three states and the work of one

    @rule(pick=st.integers(0, 20), lost=st.booleans())
    def close(self, pick: int, lost: bool) -> None:
        if self.ids:
            self.store.close(self.ids[pick % len(self.ids)], End.LOST if lost else End.CLOSED)

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
