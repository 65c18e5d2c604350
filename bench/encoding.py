"""x264 as FFmpeg sets it up beside ours (`media/x264.py`): frames per second, and how many files one clip becomes.

    python -m bench.encoding --size 1920x1080 --frames 75
    python -m bench.encoding --size 176x144 --frames 60

They differ where the processor has AVX-512. Each encoding has what it allocates filled with another byte, by the GNU C
library's MALLOC_PERTURB_, as if other work had been done before.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import multiprocessing
import os
import statistics
import time

import av
import numpy as np
from flashvsr_client.media.x264 import same_bytes

from bench.engine import commit

FILLS = ("1", "85", "170", "254")
OURS = {"crf": "18", "threads": "8"}


def encoded(width: int, height: int, frames: int, options: dict[str, str]) -> tuple[float, str]:
    """Frames a second, and what names the file."""
    noise = np.random.default_rng(0).integers(0, 32, (height, width + frames, 3), dtype=np.uint8)
    noise += (np.arange(width + frames) % 200).astype(np.uint8)[:, None]
    made = [av.VideoFrame.from_ndarray(np.ascontiguousarray(noise[:, at : at + width])) for at in range(frames)]
    pictures, target, began = (
        [picture.reformat(format="yuv420p") for picture in made],
        io.BytesIO(),
        time.perf_counter(),
    )
    with av.open(target, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=25, options=options, width=width, height=height)
        for picture in pictures:
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return frames / (time.perf_counter() - began), hashlib.sha256(target.getvalue()).hexdigest()


def main() -> None:
    """Parse the options, measure in turn, print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1920x1080", help="WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=75)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    ways = {"as FFmpeg sets it up": OURS, "without AVX-512": same_bytes("libx264", OURS)}
    results: dict[str, list[tuple[float, str]]] = {way: [] for way in ways}
    spawn = multiprocessing.get_context("spawn")
    for fill in FILLS:
        os.environ["MALLOC_PERTURB_"] = fill  # read when a process starts
        for way, said in ways.items():
            with spawn.Pool(1) as pool:
                results[way].append(pool.apply(encoded, (width, height, options.frames, said)))
    print("| size | x264 | fps, median | encodings | files | commit |\n| --- | --- | ---: | ---: | ---: | --- |")
    for way, runs in results.items():
        fps, files = statistics.median(run[0] for run in runs), len({run[1] for run in runs})
        print(f"| {options.size} | {way} | {fps:.1f} | {len(runs)} | {files} | {commit()} |")


if __name__ == "__main__":
    main()
