"""A real Prometheus scrapes a real server, and answers every query of the dashboard and every alert; spans are sent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from importlib import util
from typing import Any

import pytest
import yaml
from flashvsr_handler.metrics import Kind, Metric
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.deploy.collector import Collector, collecting
from tests.deploy.proxy import ROOT, free_port
from tests.e2e.serving import Caller, Server, pictures, serving, wait_until
from tests.faults.lab import environment


def _has(package: str) -> bool:
    try:
        return util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
FILES = ROOT / "deploy" / "prometheus"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "flashvsr.json").read_text())
TRACING = all(map(_has, ("opentelemetry.sdk", "opentelemetry.proto", "opentelemetry.exporter.otlp.proto.grpc")))
NEEDS_GPU = "flashvsr_gpu_"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(PROMETHEUS is None, reason="needs Debian's package prometheus"),
]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector | None]:
    """Who takes spans, where the packages for that are."""
    if not TRACING:
        yield None
        return
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, collector: Collector | None) -> Iterator[Server]:
    traced = {} if collector is None else {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}"}
    traced |= {"OTEL_SERVICE_NAME": "upscaler", "OTEL_BSP_SCHEDULE_DELAY": "200"}
    with (
        (tmp_path_factory.mktemp("server") / "stderr").open("w+") as errors,
        serving(errors, "--max-sessions", "1", environment=environment() | traced) as started,
    ):
        yield started


class Prometheus:
    """A running one and its questions."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, path: str, **parameters: str) -> Any:
        url = f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, query: str) -> float | None:
        found = self.ask("query", query=query)["result"]
        return float(found[0]["value"][1]) if found else None

    def up(self) -> bool:
        try:
            return self.value("up") == 1
        except OSError:
            return False


@pytest.fixture(scope="module")
def prometheus(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One with our configuration, but for the target and the pace."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    config = yaml.safe_load((FILES / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    target = urllib.parse.urlsplit(server.metrics)
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [target.netloc]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(FILES / "alerts.yml", folder)
    command = [PROMETHEUS or "", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        started = Prometheus(port)
        try:
            assert wait_until(started.up, 60), (folder / "log").read_text()
            yield started
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool")
def test_promtool_accepts_the_files() -> None:
    for command in (["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"]):
        done = subprocess.run([PROMTOOL or "", *command], cwd=FILES, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_what_a_session_does_arrives(server: Server, prometheus: Prometheus) -> None:
    caller = Caller(server.address)
    session = caller.open()
    assert caller.one(open=pb.Open(width=32, height=24, scale=2)).error.code == pb.ERROR_CODE_BUSY
    assert caller.frames(session, 0, pictures(25))[-1].HasField("done")
    assert wait_until(lambda: prometheus.value("flashvsr_sessions_active") == 1, 30)
    assert prometheus.value("flashvsr_state_bytes") > 0  # type: ignore[operator]
    caller.one(session_id=session, close=pb.Close())
    assert wait_until(lambda: prometheus.value("flashvsr_sessions_active") == 0, 30)
    assert prometheus.value("flashvsr_frames_in_total") == 25
    assert prometheus.value("flashvsr_frames_out_total") == 21
    assert prometheus.value('flashvsr_sessions_closed_total{Reason="closed"}') == 1
    assert prometheus.value('flashvsr_sessions_rejected_total{Reason="busy"}') == 1
    assert prometheus.value("flashvsr_first_frame_seconds_count") == 1


def test_every_query_of_the_dashboard_is_answered(server: Server, prometheus: Prometheus) -> None:
    caller = Caller(server.address)
    clip = pb.Clip(open=pb.Open(width=32, height=24, scale=2), frames=wire.encode(pictures(25)))
    before = prometheus.value("flashvsr_frames_out_total") or 0
    for _ in range(3):
        assert caller.many(clip=clip)[-1].HasField("done")
    assert wait_until(lambda: (prometheus.value("flashvsr_frames_out_total") or 0) >= before + 75, 30)
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            query = (
                re.sub(r"\$__rate_interval", "1m", target["expr"]).replace("$instance", ".*").replace("$model", ".*")
            )
            found = prometheus.ask("query", query=query)["result"]
            assert found or NEEDS_GPU in query, f"{panel['title']}: {query}"


def test_every_metric_has_its_type(prometheus: Prometheus) -> None:
    kinds = {name: told[0]["type"] for name, told in prometheus.ask("metadata").items()}
    for metric in Metric:
        if not metric.title.startswith(NEEDS_GPU):
            expected = Kind.HISTOGRAM.value if metric.kind is Kind.HISTOGRAM else metric.kind.value
            assert kinds[metric.title] == expected


def test_no_alert_fires_on_a_server_that_is_well(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    assert [rule["name"] for rule in rules if rule["state"] == "firing" and rule["name"] != "FlashVSRRefuses"] == []


@pytest.mark.skipif(not TRACING, reason="needs ./handler[otel]")
def test_every_chunk_is_a_span_at_a_collector(server: Server, collector: Collector) -> None:
    caller = Caller(server.address)
    session = caller.open()
    for index, count in enumerate((25, 8, 8)):
        assert caller.frames(session, index, pictures(count))[-1].HasField("done")
    caller.one(session_id=session, close=pb.Close())

    def sent() -> list[tuple[str, Any, dict[str, Any]]]:
        known = [(*sent, {pair.key: pair.value for pair in sent[1].attributes}) for sent in collector.spans()]
        return [one for one in known if one[2]["flashvsr.session"].string_value == session[:8]]

    assert wait_until(lambda: len(sent()) == 3, 20)
    assert [attributes["flashvsr.frames"].int_value for _, _, attributes in sent()] == [21, 8, 8]
    for service, span, attributes in sent():
        assert (service, span.name) == ("upscaler", "flashvsr.chunk")
        engine = attributes["flashvsr.engine"].double_value
        assert 0 < engine <= (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
