"""The client as somebody installs it who has no engine: an empty environment, the two packages, no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ROOT = Path(__file__).parents[2]

JOB = """
import importlib.util, sys
import av, numpy as np
import flashvsr_client, flashvsr_client.pipeline, flashvsr_client.transport.server, flashvsr_client.transport.local
from flashvsr_client import Client
from flashvsr_client.testing import MockTransport

for package in ("torch", "flashvsr_engine", "flashvsr_handler"):
    assert importlib.util.find_spec(package) is None, package
with av.open("in.mp4", "w") as output:
    video = output.add_stream("libx264", rate=25, width=32, height=24)
    for level in range(30):
        output.mux(video.encode(av.VideoFrame.from_ndarray(np.full((24, 32, 3), 8 * level, np.uint8))))
    output.mux(video.encode(None))
print(Client(transport=MockTransport()).upscale_file("in.mp4", "out.mp4", 2))
"""


def test_the_client_works_without_torch(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python, pinned = environment / "bin" / "python", ROOT / "constraints.txt"
    packages = [ROOT / "proto", ROOT / "client"]
    installed = _run(python, "-m", "pip", "install", "--quiet", "--constraint", pinned, *packages, cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr

    done = _run(python, "-c", JOB, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "30 frames of 64x48 yuv420p" in done.stdout

    flashvsr = environment / "bin" / "flashvsr"
    assert "upscale" in _run(flashvsr, "--help", cwd=tmp_path).stdout
    refused = _run(flashvsr, "upscale", "in.mp4", "-o", "local.mp4", "--local", cwd=tmp_path)
    assert refused.returncode == 9
    assert "pip install ./engine in the repository's folder" in refused.stderr
    assert refused.stderr.count("\n") == 1


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # it would bring packages along
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=own, capture_output=True, text=True, check=False
    )
