"""Hundreds of sessions in every way they can go; ``python -m tests.load.churn`` does ten thousand."""

from __future__ import annotations

import json
import subprocess
import sys


def test_hundreds_of_sessions_leave_nothing_behind() -> None:
    """In a process of its own: threads that earlier tests left to end would be counted in this one."""
    command = [sys.executable, "-m", "tests.load.churn", "--sessions", "400"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run
    outcome = json.loads(run.stdout)
    assert outcome["opened"] >= 400
    assert min(outcome[end] for end in ("closed", "expired", "lost", "busy")) > 0
    assert (outcome["left_bytes"], outcome["left_threads"], outcome["left_descriptors"]) == (0, 0, 0)
    assert outcome["grown_mb"] < 50
