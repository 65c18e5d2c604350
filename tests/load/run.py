"""Load by ghz: `make load`, or

    python -m tests.load.run [--quick] [--scenario clip,ping] [--address HOST:PORT --metrics URL]

starts a server of the built-in model on the loopback interface (or takes the one at the address), drives it as
scenarios/ say, and holds the results against slo.json. The exit code is 1 when an objective is missed. With
--optional a machine that has neither ghz nor Go is told so and passes.
"""

from __future__ import annotations

import argparse
import re
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from flashvsr_proto.v1 import stream_pb2 as pb

from tests.e2e.serving import Caller, serving
from tests.load import data, ghz, protoset, slo

HERE: Final = Path(__file__).parent
QUICK: Final = 0.25
"""Share of a scenario's calls in a quick run."""
SESSIONS: Final = "200"
IDLE_S: Final = "2"
"""What `open` leaves behind is closed by itself, soon."""

REFUSED: Final = re.compile(r"^flashvsr_requests_refused_total\{.*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """Where the load goes."""

    address: str
    metrics: str
    direct: str
    """Address of the direct plane, empty when there is none."""


def main() -> int:
    """Run the scenarios that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", help="names with commas between (default: all)")
    parser.add_argument("--address", help="of a server that runs; with --metrics")
    parser.add_argument("--metrics", help="where its metrics are, http://HOST:PORT/metrics")
    parser.add_argument("--quick", action="store_true", help="a quarter of the calls")
    parser.add_argument("--optional", action="store_true", help="pass where ghz cannot be had")
    options = parser.parse_args()
    try:
        program = ghz.find_or_install()
    except ghz.GhzError as error:
        print(error)
        return 0 if options.optional else 2
    names = options.scenario.split(",") if options.scenario else sorted(slo.read(HERE / "slo.json"))
    with TemporaryDirectory() as folder, _target(options.address, options.metrics, Path(folder)) as target:
        verdicts = list(judged(program, target, names, Path(folder), QUICK if options.quick else 1.0))
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def judged(program: Path, target: Target, names: list[str], folder: Path, share: float) -> Iterator[slo.Verdict]:
    """Run scenarios one after the other; print and give what was measured against each objective."""
    protoset.write(folder / "protoset")
    data.write(folder, data.Load())
    objectives = slo.read(HERE / "slo.json")
    for name in names:
        address = target.direct if name == "direct" else target.address
        if not address:
            print(f"{name}: the server has no direct plane")
            continue
        before = refusals(target.metrics)
        result = ghz.run(program, HERE / "scenarios" / f"{name}.json", address, folder, share)
        figures = slo.measured(result, refusals(target.metrics) - before)
        print(
            f"{name}: {figures['calls']:.0f} calls, {figures['rps']:.1f}/s, p50 {figures['p50_ms']:.0f} ms", flush=True
        )
        for verdict in slo.judge(figures, objectives[name]):
            print(f"  {verdict}", flush=True)
            yield verdict


def refusals(metrics: str) -> float:
    """How many typed errors the server has counted so far."""
    with urllib.request.urlopen(metrics, timeout=10) as answer:
        lines = answer.read().decode()
    return sum(
        float(value) for value in re.findall(r"^flashvsr_requests_refused_total\{.*\} (\S+)$", lines, re.MULTILINE)
    )


@contextmanager
def _target(address: str | None, metrics: str | None, folder: Path) -> Iterator[Target]:
    if address and metrics:
        yield Target(address, metrics, _direct(address))
        return
    sizes = ("--max-sessions", SESSIONS, "--idle-timeout", IDLE_S)
    with (folder / "stderr").open("w+") as errors, serving(errors, *sizes) as server:
        yield Target(server.address, server.metrics, _direct(server.address))


def _direct(address: str) -> str:
    port = Caller(address).one(ping=pb.Ping()).pong.direct_port
    return f"{address.rpartition(':')[0]}:{port}" if port else ""


if __name__ == "__main__":
    sys.exit(main())
