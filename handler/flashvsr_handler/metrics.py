"""What is counted, apart from how it is published: the service records, the entry drains."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How values of a metric add up."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(Enum):
    """The metrics, under the names that metrics.yaml declares."""

    SESSIONS_OPENED = ("flashvsr_sessions_opened_total", Kind.COUNTER)
    SESSIONS_ACTIVE = ("flashvsr_sessions_active", Kind.GAUGE)
    STATE_BYTES = ("flashvsr_state_bytes", Kind.GAUGE)
    FRAMES_IN = ("flashvsr_frames_in_total", Kind.COUNTER)
    FRAMES_OUT = ("flashvsr_frames_out_total", Kind.COUNTER)
    REFUSED = ("flashvsr_requests_refused_total", Kind.COUNTER)
    CHUNK_SECONDS = ("flashvsr_chunk_seconds", Kind.HISTOGRAM)

    def __init__(self, title: str, kind: Kind) -> None:
        self.title = title
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric: an increment of a counter, a level of a gauge, an observation of a histogram."""

    metric: Metric
    value: float


class Recorder:
    """Collects samples until somebody publishes them."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []

    def record(self, metric: Metric, value: float) -> None:
        """Add one sample; a counter that does not move is left out."""
        if value or metric.kind is not Kind.COUNTER:
            self._samples.append(Sample(metric, value))

    def drain(self) -> list[Sample]:
        """Hand the samples over and forget them."""
        samples, self._samples = self._samples, []
        return samples
