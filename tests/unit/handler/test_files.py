"""The files for TorchServe agree with one another and with the code."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import yaml
from flashvsr_handler.archive import CONFIG, MANIFEST, default_config, resource, write_archive, write_directory
from flashvsr_handler.metrics import MOST_OBSERVATIONS, Kind, Metric, Recorder, Sample
from flashvsr_handler.settings import MIB, Settings

ROOT = Path(__file__).resolve().parents[3]


def properties() -> dict[str, str]:
    lines = [line for line in resource("config.properties").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_the_handler_stays_below_torchserves_limits() -> None:
    for limit in ("max_request_size", "max_response_size"):
        assert int(properties()[limit]) == Settings().max_message_bytes + MIB


def test_the_configuration_at_the_top_is_the_packaged_one() -> None:
    assert (ROOT / "config.properties").read_text() == resource("config.properties")
    assert (ROOT / properties()["metrics_config"]).is_file()


def test_everything_listens_on_the_loopback_interface() -> None:
    addresses = {name: value for name, value in properties().items() if name.endswith("_address")}
    assert len(addresses) == 5
    assert all(value.removeprefix("http://").startswith("127.0.0.1") for value in addresses.values())


def test_sessions_stay_in_their_worker() -> None:
    config = default_config()
    assert [config[name] for name in ("minWorkers", "maxWorkers", "batchSize")] == [1, 1, 1]


def test_every_metric_is_declared_with_its_kind_unit_and_labels() -> None:
    declared = yaml.safe_load(resource("metrics.yaml"))["model_metrics"]
    for kind in Kind:
        found = {m["name"]: (m["unit"], m["dimensions"]) for m in declared[kind.value] if "flashvsr_" in m["name"]}
        ours = [metric for metric in Metric if metric.kind is kind]
        assert found == {m.title: (m.unit, ["ModelName", "Level", *filter(None, [m.label])]) for m in ours}


def test_the_recorder_hands_over_once_and_leaves_idle_counters_out() -> None:
    recorder = Recorder()
    recorder.record(Metric.FRAMES_IN, 0)
    recorder.record(Metric.SESSIONS_ACTIVE, 0)
    recorder.record(Metric.SESSIONS_ACTIVE, 2)
    for seconds in (0.1, 0.2):
        recorder.record(Metric.FRAMES_OUT, 8)
        recorder.record(Metric.STAGE_SECONDS, seconds, "engine")
    levels = [Sample(Metric.SESSIONS_ACTIVE, 2), Sample(Metric.FRAMES_OUT, 16)]
    assert recorder.drain() == levels + [Sample(Metric.STAGE_SECONDS, s, "engine") for s in (0.1, 0.2)]
    assert recorder.drain() == []


def test_what_nobody_publishes_is_bounded() -> None:
    recorder = Recorder()
    for _ in range(MOST_OBSERVATIONS + 5):
        recorder.record(Metric.CHUNK_SECONDS, 1)
    assert len(recorder.drain()) == MOST_OBSERVATIONS


def test_the_archive_is_the_same_each_time_and_holds_what_the_directory_does(tmp_path: Path) -> None:
    first, second = tmp_path / "flashvsr.mar", tmp_path / "again" / "flashvsr.mar"
    write_archive(first)
    write_archive(second)
    assert first.read_bytes() == second.read_bytes()
    write_directory(tmp_path / "flashvsr", default_config())
    with zipfile.ZipFile(first) as archive:
        assert archive.read(MANIFEST) == (tmp_path / "flashvsr" / MANIFEST).read_bytes()
        assert yaml.safe_load(archive.read(CONFIG)) == default_config()
        assert json.loads(archive.read(MANIFEST))["model"]["handler"] == "flashvsr_handler.entry"
