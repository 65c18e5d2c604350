"""What is counted, apart from how it is published: the service records, the entry drains.

The names are here and nowhere else: metrics.yaml is checked against them, dashboards and alerts import them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

MOST_OBSERVATIONS: Final = 10_000
"""Observations of histograms that wait to be published; when nobody publishes, later ones are dropped."""


class Kind(Enum):
    """How values of a metric add up."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(Enum):
    """The metrics, under the names that metrics.yaml declares: title, kind, unit, and the label beside the model's."""

    SESSIONS_ACTIVE = ("flashvsr_sessions_active", Kind.GAUGE, "Count", "")
    SESSIONS_PARKED = ("flashvsr_sessions_parked", Kind.GAUGE, "Count", "")
    SESSIONS_OPENED = ("flashvsr_sessions_opened_total", Kind.COUNTER, "Count", "")
    SESSIONS_CLOSED = ("flashvsr_sessions_closed_total", Kind.COUNTER, "Count", "Reason")
    SESSIONS_REJECTED = ("flashvsr_sessions_rejected_total", Kind.COUNTER, "Count", "Reason")
    STATE_BYTES = ("flashvsr_state_bytes", Kind.GAUGE, "Bytes", "")
    STATE_BYTES_BUDGET = ("flashvsr_state_bytes_budget", Kind.GAUGE, "Bytes", "")
    PARKED_BYTES = ("flashvsr_parked_bytes", Kind.GAUGE, "Bytes", "")
    FRAMES_IN = ("flashvsr_frames_in_total", Kind.COUNTER, "Count", "")
    FRAMES_OUT = ("flashvsr_frames_out_total", Kind.COUNTER, "Count", "")
    REFUSED = ("flashvsr_requests_refused_total", Kind.COUNTER, "Count", "Code")
    CHUNK_SECONDS = ("flashvsr_chunk_seconds", Kind.HISTOGRAM, "Seconds", "")
    STAGE_SECONDS = ("flashvsr_stage_seconds", Kind.HISTOGRAM, "Seconds", "Stage")
    QUEUE_SECONDS = ("flashvsr_queue_seconds", Kind.HISTOGRAM, "Seconds", "")
    FIRST_FRAME_SECONDS = ("flashvsr_first_frame_seconds", Kind.HISTOGRAM, "Seconds", "")
    DIRECT_STREAMS = ("flashvsr_direct_streams", Kind.GAUGE, "Count", "")
    DRAINING = ("flashvsr_draining", Kind.GAUGE, "Count", "")
    GPU_MEMORY_USED = ("flashvsr_gpu_memory_used_bytes", Kind.GAUGE, "Bytes", "")
    GPU_MEMORY_TOTAL = ("flashvsr_gpu_memory_total_bytes", Kind.GAUGE, "Bytes", "")
    GPU_UTILIZATION = ("flashvsr_gpu_utilization_ratio", Kind.GAUGE, "Ratio", "")

    def __init__(self, title: str, kind: Kind, unit: str, label: str) -> None:
        self.title = title
        self.kind = kind
        self.unit = unit
        self.label = label


LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "flashvsr_sessions_closed_total": ("closed", "expired", "lost"),
    "flashvsr_sessions_rejected_total": ("busy", "too_large", "draining"),
    "flashvsr_stage_seconds": ("decode", "engine", "encode", "send"),
}
"""The values of labels with a closed set; ``Code`` is an ErrorCode in lower case without its prefix."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric: an increment of a counter, a level of a gauge, an observation of a histogram."""

    metric: Metric
    value: float
    label: str = ""


class Recorder:
    """Collects samples until somebody publishes them; safe to use from several threads, and bounded.

    Counters are added up and gauges replaced while they wait.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._levels: dict[tuple[Metric, str], float] = {}
        self._observations: list[Sample] = []

    def record(self, metric: Metric, value: float, label: str = "") -> None:
        """Add one sample; a counter that does not move is left out."""
        assert bool(label) == bool(metric.label), metric
        with self._lock:
            if metric.kind is Kind.HISTOGRAM:
                if len(self._observations) < MOST_OBSERVATIONS:
                    self._observations.append(Sample(metric, value, label))
            elif metric.kind is Kind.GAUGE:
                self._levels[metric, label] = value
            elif value:
                self._levels[metric, label] = self._levels.get((metric, label), 0.0) + value

    def drain(self) -> list[Sample]:
        """Hand the samples over and forget them."""
        with self._lock:
            levels, self._levels = self._levels, {}
            observations, self._observations = self._observations, []
        return [Sample(metric, value, label) for (metric, label), value in levels.items()] + observations
