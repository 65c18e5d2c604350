"""The dashboard and the alerts ask for what the server exports, and for nothing else."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from flashvsr_handler.metrics import LABELS, Kind, Metric

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "flashvsr.json").read_text())
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
KNOWN_LABELS = {"instance", "job", "ModelName", "Level", "Hostname", "le", "Reason", "Code", "Stage"}


def exported() -> set[str]:
    """Names as they stand in /metrics; a histogram has three."""
    ends = {Kind.HISTOGRAM: ("_bucket", "_count", "_sum")}
    return {metric.title + end for metric in Metric for end in ends.get(metric.kind, ("",))}


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        yield variable["query"]
    for rule in RULES:
        yield rule["expr"]


@pytest.mark.parametrize("query", list(queries()))
def test_a_query_asks_for_what_is_exported(query: str) -> None:
    names = set(re.findall(r"flashvsr_\w+", query)) | set(re.findall(r"\bup\b", query))
    assert names
    assert names <= exported() | {"up"}
    for label, value in re.findall(r'(\w+)=~?"([^"$]*)"', query):
        assert label in KNOWN_LABELS
        for metric, values in LABELS.items():
            if metric in query and label in ("Reason", "Stage"):
                assert value in values


def test_every_metric_is_on_the_dashboard() -> None:
    shown = "\n".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    missing = [metric.title for metric in Metric if not re.search(rf"\b{metric.title}(_bucket|_sum)?\b", shown)]
    assert not missing


def test_a_counter_is_never_shown_bare() -> None:
    counters = [metric.title for metric in Metric if metric.kind is Kind.COUNTER]
    for query in queries():
        for name in counters:
            assert len(re.findall(rf"{name}\b", query)) == len(re.findall(rf"(rate|increase)\({name}\b", query)), query


def test_the_file_is_what_its_table_makes() -> None:
    made = runpy.run_path(str(DEPLOY / "grafana" / "dashboard.py"))["dashboard"]()
    assert made == DASHBOARD, "run: python deploy/grafana/dashboard.py > deploy/grafana/flashvsr.json"


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


def test_every_alert_says_what_to_do() -> None:
    assert len(RULES) >= 3
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["action"]
