"""When a worker leaves so that another takes its place, what a drain does, how threads share an answer, the log."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flashvsr_handler import logs
from flashvsr_handler.housekeeping import EXIT_DEVICE_LOST, EXIT_HUNG, Housekeeper, Ward
from flashvsr_handler.metrics import Metric, Sample
from flashvsr_handler.pipeline import overlapped
from flashvsr_handler.reports import Reports
from flashvsr_handler.service import Service
from flashvsr_handler.settings import Settings
from flashvsr_handler.turns import Turns
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.unit.handler.fake_engine import FakeEngine


class House:
    """A housekeeper whose exits are counted, and what it published."""

    def __init__(self, folder: Path, hang_timeout_s: float = 300.0) -> None:
        settings = replace(Settings(), hang_timeout_s=hang_timeout_s)
        self.service = Service(FakeEngine(), "cpu", 10**6, settings)
        self.reports = Reports(folder, "flashvsr0")
        self.left: list[int] = []
        self.published: list[Sample] = []
        self.keeper = Housekeeper(self.left.append)
        gauge = {Metric.GPU_UTILIZATION: 0.5}
        self.keeper.look_after(Ward(self.service, None, settings, self.reports, lambda: gauge, self.published.extend))


def test_a_call_to_the_engine_that_never_ends_ends_the_worker(tmp_path: Path) -> None:
    house = House(tmp_path, hang_timeout_s=0.05)
    with house.service.turns.take():
        house.keeper.tick()
        assert house.left == []
        time.sleep(0.06)
        house.keeper.tick()
    assert house.left == [EXIT_HUNG]


def test_a_busy_engine_keeps_nothing_from_being_cleaned_up(tmp_path: Path) -> None:
    house = House(tmp_path)
    opening = pb.StreamRequest(protocol_version=1, open=pb.Open(width=16, height=16))
    (opened,) = house.service.handle(opening.SerializeToString(), many=False)
    house.service.store.carried(opened.session_id, "", "a stream")
    house.service.store.abandon("a stream", -1.0)
    with house.service.turns.take():
        house.keeper.tick()  # does not wait
        assert house.service.store.counters.active == 1
    deadline = time.monotonic() + 5
    while house.service.store.counters.expired == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_lost_device_ends_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(tmp_path)
    house.keeper.tick()
    assert house.left == []
    monkeypatch.setattr(Service, "device_lost", True)
    house.keeper.tick()
    assert house.left == [EXIT_DEVICE_LOST]


def test_a_drain_that_the_supervisor_asks_for_is_begun(tmp_path: Path) -> None:
    house, supervisor = House(tmp_path), Reports(tmp_path, "")
    house.keeper.tick()
    supervisor.prepare()
    house.keeper.tick()
    assert not house.service.drain.left_ms
    supervisor.drain(5)
    house.keeper.tick()
    assert 4000 < house.service.drain.left_ms <= 5000


def test_gauges_and_what_ended_are_published(tmp_path: Path) -> None:
    house = House(tmp_path)
    opening = pb.StreamRequest(protocol_version=1, open=pb.Open(width=16, height=16))
    (opened,) = house.service.handle(opening.SerializeToString(), many=False)
    house.keeper.tick()
    house.service.store.close(opened.session_id)
    house.keeper.tick()
    for sample in (
        Sample(Metric.SESSIONS_ACTIVE, 1),
        Sample(Metric.SESSIONS_ACTIVE, 0),
        Sample(Metric.SESSIONS_CLOSED, 1, "closed"),
        Sample(Metric.GPU_UTILIZATION, 0.5),
        Sample(Metric.STATE_BYTES_BUDGET, 10**6),
    ):
        assert house.published.count(sample) >= 1


def test_a_worker_that_is_at_one_request_for_too_long_does_not_count_as_working(tmp_path: Path) -> None:
    reports = Reports(tmp_path, "flashvsr0")
    with reports.working():
        time.sleep(0.02)
        assert reports.is_working()
        assert reports.is_working(5)
        assert not reports.is_working(0.01)


def test_turns_are_first_come_first_served() -> None:
    turns, order = Turns(), list[int]()

    def work(number: int) -> None:
        with turns.take():
            order.append(number)

    with turns.take():
        threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
        assert turns.held_for() >= 0.1
    for thread in threads:
        thread.join()
    assert order == list(range(5))
    assert turns.held_for() == 0


def test_items_are_made_ahead_and_no_further() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    ahead = overlapped(items(), 2)
    assert next(ahead) == 0
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]  # two in the queue, one in hand
    assert list(ahead) == list(range(1, 10))


def test_an_error_comes_in_its_place_and_who_leaves_ends_the_other_thread() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield 1
            raise KeyError("in the other thread")
        finally:
            closed.set()

    ahead = overlapped(items(), 5)
    assert next(ahead) == 1
    with pytest.raises(KeyError, match="in the other thread"):
        next(ahead)

    closed.clear()
    ahead = overlapped(items(), 1)
    ahead.close()  # never begun: there is nothing to end
    ahead = overlapped(iter(range(100)), 1)
    next(ahead)
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "engine"]


def test_log_lines_say_whose_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("flashvsr_handler.somewhere")
    for kind in ("json", "text"):
        logs.set_up(kind, "warning")
        with logs.about("abcdefghijklmnop", "r1"):
            logger.warning("first\nsec\x1bond\r")
        logger.info("not asked for")
    line, text = capsys.readouterr().out.splitlines()
    fields = json.loads(line)
    assert fields.pop("time") > 0
    assert fields == {
        "level": "warning",
        "logger": "flashvsr_handler.somewhere",
        "message": "first\nsec\x1bond\r",
        "session": "abcdefgh",
        "request": "r1",
    }
    assert text == "WARNING somewhere [abcdefgh r1]: first | sec?ond"
    logging.getLogger("flashvsr_handler").handlers.clear()
    logging.getLogger("flashvsr_handler").propagate = True
