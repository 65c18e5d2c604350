"""What must hold after every test of the handler: the books balance, and nothing is left running or open."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator

import psutil  # type: ignore[import-untyped]
import pytest
from flashvsr_handler.service import Service

SETTLE_S = 3.0


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """opened == closed + expired + lost + active, bytes are those of active sessions, no new threads, no new files.

    CUDA, once used, keeps files of its own open.
    """
    services: list[Service] = []
    original = Service.__init__

    def remembering(self: Service, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)  # type: ignore[arg-type]
        services.append(self)

    monkeypatch.setattr(Service, "__init__", remembering)
    process = psutil.Process()
    gc.collect()
    threads, descriptors = set(threading.enumerate()), process.num_fds()
    yield
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline and (set(threading.enumerate()) - threads or process.num_fds() > descriptors):
        gc.collect()
        time.sleep(0.05)
    assert not set(threading.enumerate()) - threads
    assert request.node.get_closest_marker("gpu") or process.num_fds() <= descriptors
    for service in services:
        counters = service.store.counters
        assert counters.opened == counters.closed + counters.expired + counters.lost + counters.active
        service.store.close_all()
        assert service.store.counters.active == 0
        assert service.store.state_bytes == service.store.snapshots_bytes() == 0
        assert service.turns.held_for() == 0
