"""The checker of objectives: what holds, what does not, and what is no result at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.load import slo


def result(latencies_ms: list[float], failed: int = 0, rps: float = 10.0) -> dict[str, object]:
    good = [{"latency": ms * 1e6, "status": "OK", "error": ""} for ms in latencies_ms]
    bad = [{"latency": 1e6, "status": "Unavailable", "error": "gone"}] * failed
    return {"rps": rps, "details": good + bad}


@pytest.mark.parametrize(("share", "value"), [(50, 50), (95, 95), (99, 99), (100, 100), (0.5, 1)])
def test_percentiles_are_nearest_ranks(share: float, value: float) -> None:
    assert slo.percentile([float(x) for x in range(100, 0, -1)], share) == value


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert slo.percentile([7.0], 50) == slo.percentile([7.0], 99) == 7.0


def test_figures_of_a_run() -> None:
    figures = slo.measured(result([10, 20, 30, 40], failed=1), refused=3)
    assert figures["calls"] == 5
    assert figures["error_rate"] == pytest.approx(0.2)
    assert figures["refused"] == 3
    assert (figures["p50_ms"], figures["max_ms"]) == (20, 40)


def test_a_failed_call_does_not_flatter_the_latencies() -> None:
    assert slo.measured(result([10.0], failed=9))["p50_ms"] == 10
    assert slo.measured(result([], failed=2))["p50_ms"] == float("inf")


@pytest.mark.parametrize(
    ("objective", "holds"),
    [
        ({"p95_ms": 40}, True),
        ({"p95_ms": 39.9}, False),
        ({"rps": 10}, True),
        ({"rps": 10.1}, False),
        ({"error_rate": 0}, True),
        ({"calls": 5}, False),
        ({"refused": 0}, True),
    ],
)
def test_each_objective_has_its_direction(objective: dict[str, float], holds: bool) -> None:
    (verdict,) = slo.judge(slo.measured(result([10, 20, 30, 40])), objective)
    assert verdict.holds is holds
    assert str(verdict).startswith("ok" if holds else "MISS")


@pytest.mark.parametrize("wrong", [{}, {"details": None, "rps": 1}, {"details": [{}], "rps": 1}, {"details": []}, []])
def test_what_is_no_result_is_said(wrong: object) -> None:
    with pytest.raises(slo.ResultError):
        slo.measured(wrong)  # type: ignore[arg-type]


def test_a_result_of_no_calls_is_no_success() -> None:
    with pytest.raises(slo.ResultError, match="nothing reached the server"):
        slo.measured({"details": [], "rps": 0})


def test_an_unknown_objective_names_the_known_ones() -> None:
    with pytest.raises(slo.ResultError, match=r"p42_ms.*p95_ms"):
        slo.judge({}, {"p42_ms": 1})


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(result([10.0] * 20)))
    objectives = tmp_path / "slo.json"
    objectives.write_text(json.dumps({"clip": {"p99_ms": 20}, "strict": {"p99_ms": 5}}))
    command = [str(path), "--objectives", str(objectives)]
    assert slo.main(command) == 0
    assert slo.main([*command, "--scenario", "strict"]) == 1
    assert slo.main([*command, "--scenario", "none"]) == 2
    assert slo.main([str(tmp_path / "absent.json")]) == 2
    assert "MISS p99_ms 10 <= 5" in capsys.readouterr().out


SCENARIOS = sorted((Path(slo.__file__).parent / "scenarios").glob("*.json"))


def test_every_scenario_has_objectives_and_the_other_way_round() -> None:
    assert {path.stem for path in SCENARIOS} == set(slo.read(Path(slo.__file__).with_name("slo.json")))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenarios_are_bounded_and_stay_off_the_call_that_kills_workers(path: Path) -> None:
    scenario = slo.read(path)
    assert scenario["total"] <= 1000
    assert int(scenario["timeout"].rstrip("s")) <= 60
    assert not {"duration", "max-duration"} & set(scenario)  # either makes ghz forget the total
    assert "StreamPredictions2" not in scenario["call"]
    assert "host" not in scenario
