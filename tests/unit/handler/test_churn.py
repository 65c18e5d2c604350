"""Hundreds of sessions in every way they can go; ``python -m tests.load.churn`` does ten thousand."""

from __future__ import annotations

from tests.load.churn import churn


def test_hundreds_of_sessions_leave_nothing_behind() -> None:
    outcome = churn(400)
    assert outcome.opened >= 400
    assert min(outcome.closed, outcome.expired, outcome.lost, outcome.busy) > 0
    assert (outcome.left_bytes, outcome.left_threads, outcome.left_descriptors) == (0, 0, 0)
    assert outcome.grown_mb < 50
