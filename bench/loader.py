"""What a generator of single calls cannot see: sessions, from their first frame to their last.

    python -m bench.loader --sessions 1,2,4 --frames 161 --fps 0
    python -m bench.loader --most --fps 10 --slo-first-s 5 --slo-gap 1.25
    python -m bench.loader --most --fps 30 --waiting 240 --write

The first prints, for each number of sessions at one time, the time to the first frame, the gaps between chunks and the
frames a second. The second adds sessions until one misses the objectives (a live stream wants a chunk of 8 frames every
8 / fps seconds, times ``--slo-gap``, at the 95th percentile), and so finds the most that this server carries. Goodput
counts the frames of those sessions alone that met both objectives. Without --server it starts one; with --waiting its
engine only waits, so that what limits is serving, and not this machine's arithmetic. --write keeps the table.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from flashvsr_client.demo import server

from bench.engine import commit
from bench.faults import RESULTS, replaced
from bench.sessions import Traffic, Viewing, view
from tests.load.slo import percentile

MOST = 64
ROOT = Path(__file__).parents[1]
TITLE = "## The most live sessions"
HEADER = "| sessions | failed | first frame s p50 / max | gap s p50 / p95 / p99 | fps | goodput fps | met |"


@dataclass(frozen=True, slots=True)
class Objectives:
    """What a session must do to count: seconds."""

    first_s: float
    gap_s: float
    """At the 95th percentile of its chunks."""

    def met(self, viewing: Viewing) -> bool:
        """Whether that session was good."""
        gaps = viewing.gaps_s
        steady = not gaps or percentile(gaps, 95) <= self.gap_s
        return not viewing.error and viewing.first_frame_s <= self.first_s and steady


def main() -> None:
    """Parse the options, print a row for each number of sessions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--server", help="HOST:PORT of one that runs")
    add("--sessions", default="1,2,4", help="numbers of sessions at one time")
    add("--most", action="store_true", help="add sessions until the objectives are missed")
    add("--size", default="64x48", help="of the input, WIDTHxHEIGHT")
    add("--scale", type=int, default=2)
    add("--frames", type=int, default=81, help="of each session")
    add("--fps", type=float, default=0.0, help="at which frames are sent; 0: as fast as they are taken")
    add("--slo-first-s", type=float, default=10.0, help="to the first frame")
    add("--slo-gap", type=float, default=1.25, help="between chunks, in chunks' durations at --fps")
    add("--waiting", type=int, metavar="FPS", help="start a server whose engine only waits, at that speed")
    add("--note", default="", help="a sentence for the report, such as what else the machine did")
    add("--write", action="store_true", help="into bench/RESULTS.md")
    options = parser.parse_args()
    section = [f"{TITLE}\n", f"`{_command()}` (commit {commit()}). {options.note}".rstrip() + "\n"]
    for line in measured(options):
        print(line, flush=True)
        section.append(line)
    if options.write:
        RESULTS.write_text(replaced(RESULTS.read_text(), "\n".join(section) + "\n"))


def measured(options: argparse.Namespace) -> Iterator[str]:
    """Run the sessions that the command line asks for; give the lines of the table."""
    width, height = (int(side) for side in options.size.split("x"))
    traffic = Traffic(width, height, options.scale, options.frames, options.fps)
    counts = range(1, MOST + 1) if options.most else [int(part) for part in options.sessions.split(",")]
    yield f"{HEADER}\n{'| --- ' * 7}|"
    most = 0
    with _server(options.server, options.waiting) as address:
        for count in counts:
            viewings, seconds = view(address, traffic, count)
            chunk_s = viewings[0].chunk / options.fps if options.fps else float("inf")
            line, good = row(viewings, seconds, Objectives(options.slo_first_s, chunk_s * options.slo_gap))
            yield line
            for error in sorted({viewing.error for viewing in viewings if viewing.error}):
                print(f"  {error}", file=sys.stderr)
            if options.most and good < count:
                break
            most = count
    if options.most:
        yield f"\nMost sessions that meet the objectives: {most}."


def row(viewings: list[Viewing], seconds: float, objectives: Objectives) -> tuple[str, int]:
    """Say what so many sessions got, and how many met the objectives."""
    good = [viewing for viewing in viewings if objectives.met(viewing)]
    firsts = [viewing.first_frame_s for viewing in viewings]
    gaps = [gap for viewing in viewings for gap in viewing.gaps_s] or [0.0]
    cells = [
        str(len(viewings)),
        str(sum(bool(viewing.error) for viewing in viewings)),
        f"{percentile(firsts, 50):.2f} / {max(firsts):.2f}",
        " / ".join(f"{percentile(gaps, share):.3f}" for share in (50, 95, 99)),
        f"{sum(len(viewing.arrivals) for viewing in viewings) / seconds:.1f}",
        f"{sum(len(viewing.arrivals) for viewing in good) / seconds:.1f}",
        f"{len(good)} of {len(viewings)}",
    ]
    return f"| {' | '.join(cells)} |", len(good)


def _command() -> str:
    words = sys.argv[1:]
    if "--note" in words:
        place = words.index("--note")
        del words[place : place + 2]
    return shlex.join(["python", "-m", "bench.loader", *(word for word in words if word != "--write")])


@contextmanager
def _server(address: str | None, waiting: int | None) -> Iterator[str]:
    if address:
        yield address
        return
    environment = {"FLASHVSR_MAX_SESSIONS": str(MOST)}
    if waiting:
        here = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        environment |= {"FLASHVSR_ENGINE_FACTORY": "bench.waiting:load", "WAITING_FPS": str(waiting)}
        environment |= {"PYTHONPATH": here}
    with TemporaryDirectory() as folder, server.running(Path(folder) / "log", environment) as started:
        yield started


if __name__ == "__main__":
    main()
