"""TorchServe's process and its workers, by a stand-in for Java that starts a worker which never says anything."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from flashvsr_handler.serve.options import parse
from flashvsr_handler.serve.ports import Ports
from flashvsr_handler.serve.process import QUIET, TorchServe
from flashvsr_handler.serve.rundir import write_run_dir

PORTS = Ports(grpc=1000, grpc_management=1001, http=2000, metrics=2002, direct=(1002,))


def test_a_worker_is_newborn_for_a_while_and_never_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nsleep 60 &\nwait\n")
    java.chmod(0o755)
    options = parse(["--run-dir", str(tmp_path / "run")], {})
    run = write_run_dir(options, PORTS, gpus=0)
    server = TorchServe(str(java), run, QUIET, os.environ)
    try:
        deadline = time.monotonic() + 30
        while not server.workers():
            assert time.monotonic() < deadline
        assert server.has_newborn(120)
        born = psutil.Process(*server.workers()).create_time()
        for now, young in ((born + 119, True), (born + 121, False), (born - 3600, False)):
            monkeypatch.setattr(time, "time", lambda now=now: now)
            assert server.has_newborn(120) is young
    finally:
        server.kill()
    assert not server.workers()
    assert not server.has_newborn(120)
