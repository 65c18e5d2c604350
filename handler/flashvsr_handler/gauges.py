"""What a service has at the moment, as gauges, and what ended since it was last asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flashvsr_handler.drain import Drain
from flashvsr_handler.metrics import Metric, Recorder
from flashvsr_handler.sessions import SessionStore
from flashvsr_handler.stored import End


class Gauges:
    """Reads a store and a drain; counts the streams of the direct plane by itself."""

    def __init__(self, store: SessionStore, drain: Drain, metrics: Recorder) -> None:
        self._store = store
        self._drain = drain
        self._metrics = metrics
        self._counted = dict.fromkeys(End, 0)
        self._streams_lock = threading.Lock()
        self.streams = 0
        """Of the direct plane, that run."""

    @contextmanager
    def counting_stream(self) -> Iterator[None]:
        """Count a stream of the direct plane while the block runs."""
        with self._streams_lock:
            self.streams += 1
        try:
            yield
        finally:
            with self._streams_lock:
                self.streams -= 1

    def levels(self) -> dict[Metric, float]:
        """Give the gauges, and count what ended since the last call."""
        counters = self._store.counters
        for end in End:
            now = getattr(counters, end.value)
            self._metrics.record(Metric.SESSIONS_CLOSED, now - self._counted[end], end.value)
            self._counted[end] = now
        return {
            Metric.SESSIONS_ACTIVE: counters.active,
            Metric.SESSIONS_PARKED: counters.parked,
            Metric.STATE_BYTES: self._store.state_bytes,
            Metric.STATE_BYTES_BUDGET: self._store.budget.total,
            Metric.PARKED_BYTES: self._store.snapshots_bytes(),
            Metric.DIRECT_STREAMS: self.streams,
            Metric.DRAINING: float(self._drain.left_ms > 0),
        }
