"""Whether what ghz measured is good enough: its JSON output against a file of objectives.

    python -m tests.load.slo result.json --objectives tests/load/slo.json --scenario clip

prints each objective beside its value; the exit code is 0 when all hold, 1 when one does not, 2 when a file is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

PERCENTILES: Final = {"p50_ms": 50, "p90_ms": 90, "p95_ms": 95, "p99_ms": 99, "max_ms": 100}
AT_LEAST: Final = ("rps", "calls")
AT_MOST: Final = (*PERCENTILES, "error_rate", "refused")
"""``refused`` is what the server counted itself: a typed error travels in an answer that is OK for gRPC."""


class ResultError(ValueError):
    """A file is not what ghz or an objective looks like; the text says which and why."""


@dataclass(frozen=True)
class Verdict:
    """One objective: its name, what is allowed and what was measured."""

    name: str
    limit: float
    value: float

    @property
    def holds(self) -> bool:
        """Whether the value is within the limit."""
        return self.value >= self.limit if self.name in AT_LEAST else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.name in AT_LEAST else "<="
        return f"{'ok  ' if self.holds else 'MISS'} {self.name} {self.value:.6g} {sign} {self.limit:g}"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of ``values`` that ``share`` per cent of them do not exceed (nearest rank); needs one at least."""
    ranked = sorted(values)
    return ranked[max(0, ceil(len(ranked) * share / 100) - 1)]


def measured(result: Mapping[str, Any], refused: float = 0.0) -> dict[str, float]:
    """All figures of one run of ghz. Latencies are those of calls that came to a good end.

    Raises :class:`ResultError` for something that is no result of ghz, or one of no calls.
    """
    try:
        calls = [(float(call["latency"]) / 1e6, call["status"] == "OK") for call in result["details"]]
        rps = float(result["rps"])
    except (KeyError, TypeError, ValueError) as error:
        raise ResultError(f"no result of ghz ({type(error).__name__}: {error}): run it with --format json") from error
    if not calls:
        raise ResultError("a result of no calls: nothing reached the server; is the address right?")
    good = [latency for latency, fine in calls if fine]
    figures = {"calls": float(len(calls)), "rps": rps, "error_rate": 1 - len(good) / len(calls), "refused": refused}
    slowest = float("inf")
    return figures | {name: percentile(good, share) if good else slowest for name, share in PERCENTILES.items()}


def judge(figures: Mapping[str, float], objectives: Mapping[str, float]) -> list[Verdict]:
    """Hold figures against objectives. Raises :class:`ResultError` for an objective that is not known."""
    known = (*AT_LEAST, *AT_MOST)
    for name in objectives:
        if name not in known:
            raise ResultError(f"objective {name!r}: known are {', '.join(known)}")
    return [Verdict(name, float(limit), figures[name]) for name, limit in objectives.items()]


def read(path: Path) -> Any:
    """Read a JSON file. Raises :class:`ResultError`."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read: {error}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("--objectives", type=Path, default=Path(__file__).with_name("slo.json"))
    parser.add_argument("--scenario", help="key in the file of objectives (default: the result's name)")
    options = parser.parse_args(arguments)
    scenario = options.scenario or options.result.stem
    try:
        objectives = read(options.objectives)
        if scenario not in objectives:
            raise ResultError(f"scenario {scenario!r}: {options.objectives} has {', '.join(objectives)}")
        verdicts = judge(measured(read(options.result)), objectives[scenario])
    except ResultError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("".join(f"{verdict}\n" for verdict in verdicts))
    return 0 if all(verdict.holds for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
