"""The dashboard as a table of panels: ``python deploy/grafana/dashboard.py > deploy/grafana/flashvsr.json``."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any, Final

WIDTH, HEIGHT, COLUMNS = 8, 8, 3
ONE: Final = 'instance=~"$instance", ModelName=~"$model"'
WINDOW: Final = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph: queries with their legends, and the unit in Grafana's terms."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    help: str = ""


def total(metric: str, by: str = "") -> str:
    """A gauge over all models that are chosen."""
    return f"sum{f' by ({by})' if by else ''} ({metric}{{{ONE}}})"


def rate(metric: str, by: str = "") -> str:
    """A counter's growth per second."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{ONE}}}[{WINDOW}]))"


def mean(metric: str, by: str = "") -> str:
    """Mean of a histogram's observations."""
    return f"{rate(f'{metric}_sum', by)} / {rate(f'{metric}_count', by)}"


def quantile(share: float, metric: str) -> str:
    """Quantile of a histogram; its buckets end at ten seconds."""
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', 'le')})"


PANELS: Final = (
    Panel(
        "Sessions",
        (
            (total("flashvsr_sessions_active"), "active"),
            (total("flashvsr_sessions_parked"), "parked"),
            (total("flashvsr_direct_streams"), "streams of the direct plane"),
        ),
    ),
    Panel(
        "Sessions begun and ended, a second",
        (
            (rate("flashvsr_sessions_opened_total"), "opened"),
            (rate("flashvsr_sessions_closed_total", "Reason"), "{{Reason}}"),
        ),
        help="expired: silent for too long; lost: broke, or cut off by a drain",
    ),
    Panel(
        "Turned away, a second",
        (
            (rate("flashvsr_sessions_rejected_total", "Reason"), "open: {{Reason}}"),
            (rate("flashvsr_requests_refused_total", "Code"), "request: {{Code}}"),
        ),
        help="busy: no room now; what the codes mean is in docs/operations.md",
    ),
    Panel(
        "Frames a second",
        ((rate("flashvsr_frames_in_total"), "in"), (rate("flashvsr_frames_out_total"), "out")),
    ),
    Panel(
        "State in device memory",
        (
            (total("flashvsr_state_bytes"), "sessions"),
            (total("flashvsr_state_bytes_budget"), "budget"),
            (total("flashvsr_parked_bytes"), "parked, in host memory"),
        ),
        "bytes",
    ),
    Panel(
        "Time to first frame",
        (
            (quantile(0.5, "flashvsr_first_frame_seconds"), "p50"),
            (quantile(0.95, "flashvsr_first_frame_seconds"), "p95"),
        ),
        "s",
    ),
    Panel(
        "A chunk, from taken to sent",
        ((quantile(0.5, "flashvsr_chunk_seconds"), "p50"), (quantile(0.95, "flashvsr_chunk_seconds"), "p95")),
        "s",
    ),
    Panel(
        "A chunk by stage, mean",
        ((mean("flashvsr_stage_seconds", "Stage"), "{{Stage}}"),),
        "s",
        "send: waiting for the client to take messages",
    ),
    Panel(
        "Wait for the engine",
        ((mean("flashvsr_queue_seconds"), "mean"), (quantile(0.95, "flashvsr_queue_seconds"), "p95")),
        "s",
        "how long a chunk waited for those of other sessions",
    ),
    Panel(
        "GPU memory",
        (
            (total("flashvsr_gpu_memory_used_bytes", "instance, ModelName"), "{{instance}} {{ModelName}}"),
            (total("flashvsr_gpu_memory_total_bytes"), "there is"),
        ),
        "bytes",
    ),
    Panel(
        "GPU utilisation",
        ((f"avg by (instance, ModelName) (flashvsr_gpu_utilization_ratio{{{ONE}}})", "{{instance}} {{ModelName}}"),),
        "percentunit",
    ),
    Panel("Draining", ((total("flashvsr_draining", "instance"), "{{instance}}"),), help="1: takes no new sessions"),
)


def dashboard() -> dict[str, Any]:
    """Give what Grafana imports."""
    return {
        "uid": "flashvsr",
        "title": "FlashVSR",
        "tags": ["flashvsr"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_variable("instance"), _variable("model", "ModelName")]},
        "panels": [_panel(index, panel) for index, panel in enumerate(PANELS)],
    }


def _variable(name: str, label: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _source(),
        "query": f"label_values(flashvsr_sessions_active, {label or name})",
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
    }


def _panel(index: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(index, COLUMNS)
    return {
        "id": index + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.help,
        "datasource": _source(),
        "gridPos": {"x": WIDTH * column, "y": HEIGHT * row, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "expr": query, "legendFormat": legend, "datasource": _source()}
            for number, (query, legend) in enumerate(panel.queries)
        ],
    }


def _source() -> dict[str, str]:
    return {"type": "prometheus", "uid": "prometheus"}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=2) + "\n")
