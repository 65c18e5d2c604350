"""One film on one server and on two, each pinned to a core of its own: how much faster two are.

    python -m bench.fanout --frames 800 --segment 200

The same segments are made both times, so the ratio says what sharing them out costs; both files must be the same.
"""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from flashvsr_client import Client, Segmentation
from flashvsr_client.demo import server

from bench.engine import commit

WIDTH, HEIGHT = 96, 64


def write_film(path: Path, frames: int, width: int = WIDTH, height: int = HEIGHT) -> None:
    """A film of noise that moves."""
    still = np.random.default_rng(0).integers(0, 256, (height, width + frames, 3), dtype=np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "20"}, width=width, height=height)
        for place in range(frames):
            picture = np.ascontiguousarray(still[:, place : place + width])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        output.mux(stream.encode(None))


def main() -> None:
    """Parse the options, measure, print a row for each number of servers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=800)
    parser.add_argument("--segment", type=int, default=200)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    print("| servers | frames | segments | seconds | fps | ratio | same file | commit |\n" + "| --- " * 8 + "|")
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder, addresses = Path(name), list[str]()
        write_film(folder / "film.mp4", options.frames)
        for core in cores:
            os.sched_setaffinity(0, {core})  # which the server inherits
            addresses.append(stack.enter_context(server.running(folder / f"log{core}")))
        os.sched_setaffinity(0, cores)
        fps, files = list[float](), list[bytes]()
        for count in (1, 2):
            target = folder / f"{count}.mp4"
            with Client(",".join(addresses[:count])) as client:
                report = client.upscale_file(
                    folder / "film.mp4", target, 2, segmentation=Segmentation(frames=options.segment)
                )
            fps.append(report.fps)
            files.append(target.read_bytes())
            row = [count, report.frames, report.segments, f"{report.seconds:.0f}", f"{fps[-1]:.2f}"]
            row += [f"{fps[-1] / fps[0]:.2f}", files[-1] == files[0], commit()]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
