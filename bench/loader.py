"""What a generator of single calls cannot see: sessions, from their first frame to their last.

    python -m bench.loader --sessions 1,2,4 --frames 161 --fps 0
    python -m bench.loader --most --fps 10 --slo-first-s 5 --slo-gap 1.25

The first prints, for each number of sessions at one time, the time to the first frame, the gaps between chunks and the
frames a second. The second adds sessions until one misses the objectives (a live stream wants a chunk of 8 frames every
8 / fps seconds, times ``--slo-gap``, at the 95th percentile), and so finds the most that this server carries. Goodput
counts the frames of those sessions alone that met both objectives. Without --server it starts one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from flashvsr_client.demo import server

from bench.sessions import Traffic, Viewing, view
from tests.load.slo import percentile

MOST = 64
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
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    traffic = Traffic(width, height, options.scale, options.frames, options.fps)
    counts = range(1, MOST + 1) if options.most else [int(part) for part in options.sessions.split(",")]
    print(f"{HEADER}\n{'| --- ' * 7}|")
    with _server(options.server) as address:
        most = 0
        for count in counts:
            viewings, seconds = view(address, traffic, count)
            chunk_s = viewings[0].chunk / options.fps if options.fps else float("inf")
            good = row(viewings, seconds, Objectives(options.slo_first_s, chunk_s * options.slo_gap))
            if options.most and good < count:
                break
            most = count
    if options.most:
        print(f"\nMost sessions that meet the objectives: {most}")


def row(viewings: list[Viewing], seconds: float, objectives: Objectives) -> int:
    """Print what so many sessions got; give how many met the objectives."""
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
    print(f"| {' | '.join(cells)} |", flush=True)
    for error in sorted({viewing.error for viewing in viewings if viewing.error}):
        print(f"  {error}", flush=True)
    return len(good)


@contextmanager
def _server(address: str | None) -> Iterator[str]:
    if address:
        yield address
        return
    with TemporaryDirectory() as folder, server.running(Path(folder) / "log") as started:
        yield started


if __name__ == "__main__":
    main()
