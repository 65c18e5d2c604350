"""A few random faults in a row, from a fixed seed; `python -m bench.chaos` goes on for an hour."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from bench.chaos.run import run
from tests.faults.conftest import Figure

pytestmark = [pytest.mark.e2e, pytest.mark.faults]


def test_random_faults(tmp_path: Path, figure: Figure) -> None:
    log = io.StringIO()
    outcome = run(minutes=1 / 3, seed=3, folder=tmp_path, log=log)
    assert outcome.tally.violations == [], log.getvalue()
    assert outcome.tally.counts["films"] > 0
    assert outcome.tally.counts["rests"] > 0
    figure("faults", outcome.tally.counts["faults"])
    figure("worst_recovery_s", max(max(seconds) for seconds in outcome.recoveries.values()))
