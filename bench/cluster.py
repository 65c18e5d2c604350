"""One film on one node of a Ray cluster and on two, each with hardware of its own: how much faster two are.

    python -m bench.cluster --frames 480 --segment 120
    python -m bench.cluster --gpus --size 480x270 --frames 4000 --segment 400

A head without cores and two nodes run on this machine: each has one core, or, with ``--gpus``, a GPU and half of the
cores. The same segments are made both times, so the ratio says what sharing them out costs; both files must be the
same. Segments go through the object store, as between machines that share no folder.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from flashvsr_client import Client, LocalOptions, Reading, Segmentation
from flashvsr_client.cluster.options import ClusterOptions
from flashvsr_client.report import Report

from bench.engine import commit
from bench.fanout import HEIGHT, WIDTH, write_film

STORE_BYTES = 80 << 20
COLUMNS = ("engines", "frames", "segments", "seconds", "fps", "ratio", "same file", "commit")


@contextmanager
def cluster(gpus: bool) -> Iterator[str]:
    """Two nodes, for the time of a block; gives the head's address."""
    from ray.cluster_utils import Cluster

    cores = sorted(os.sched_getaffinity(0))
    each = len(cores) // 2 if gpus else 1
    head = {"num_cpus": 0, "num_gpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    started = Cluster(initialize_head=True, head_node_args=head)
    try:
        for place in range(2):
            os.sched_setaffinity(0, cores[place * each : (place + 1) * each])  # which the node and its engine inherit
            os.environ["CUDA_VISIBLE_DEVICES"] = str(place) if gpus else ""
            started.add_node(num_cpus=each, num_gpus=int(gpus), object_store_memory=STORE_BYTES)
        os.sched_setaffinity(0, cores)
        yield started.address
    finally:
        started.shutdown()  # type: ignore[no-untyped-call]


def made(address: str, film: Path, target: Path, engines: int, options: argparse.Namespace) -> Report:
    """Make the beginning of the film so that every engine is loaded, and then all of it to be measured."""
    place = ClusterOptions(address, actors=engines, cpus=1, files="sent")
    with Client.on_cluster(place, LocalOptions(device="cuda" if options.gpus else "cpu")) as client:
        warm, beginning = target.with_name(f"warm{engines}.mp4"), Reading(duration=Fraction(8 if options.gpus else 2))
        client.upscale_file(film, warm, 2, segmentation=Segmentation(frames=25), reading=beginning)
        return client.upscale_file(film, target, 2, segmentation=Segmentation(frames=options.segment))


def main() -> None:
    """Parse the options, measure, print a row for each number of engines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=480)
    parser.add_argument("--segment", type=int, default=120)
    parser.add_argument("--size", default=f"{WIDTH}x{HEIGHT}", help="of the film; the output is twice that")
    parser.add_argument("--gpus", action="store_true")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    with TemporaryDirectory() as name, cluster(options.gpus) as address:
        folder = Path(name)
        write_film(folder / "film.mp4", options.frames, width, height)
        print(f"| {' | '.join(COLUMNS)} |\n" + "| --- " * len(COLUMNS) + "|")
        fps, files = list[float](), list[bytes]()
        for count in (1, 2):
            target = folder / f"{count}.mp4"
            report = made(address, folder / "film.mp4", target, count, options)
            fps.append(report.fps)
            files.append(target.read_bytes())
            row = [count, report.frames, report.segments, f"{report.seconds:.0f}", f"{fps[-1]:.2f}"]
            row += [f"{fps[-1] / fps[0]:.2f}", files[-1] == files[0], commit()]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
