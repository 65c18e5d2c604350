"""Whether a long stream stays as it began: memory of the process, and each frame against one-by-one pushing.

    python -m bench.endless --frames 20000

runs the built-in model on random 32x32 frames at scale 2, twice side by side: pushed 40 at a time, and one by one. It
prints the process's memory as it goes and says whether the frames were the same, bit for bit.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import psutil  # type: ignore[import-untyped]
from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_engine.devices import keep_freed_memory

SIDE = 32
PUSH = 40
WARM_UP = 400

Pictures = npt.NDArray[np.uint8]


def main() -> None:
    """Parse the options, run, print a row every tenth of the way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--precision", default="fp32")
    options = parser.parse_args()
    keep_freed_memory()
    engine = FlashVSREngine.load(EngineConfig(precision=options.precision, scale=2))
    many, single = engine.open(SIDE, SIDE), engine.open(SIDE, SIDE)
    process, start, same, warm = psutil.Process(), time.perf_counter(), True, 0
    print("| frames | process MB | seconds | same frames |\n| ---: | ---: | ---: | --- |")
    for done, frames in _frames(options.frames):
        pushed = many.push(frames)
        one_by_one = np.concatenate([single.push(frames[i : i + 1]) for i in range(len(frames))])
        same &= np.array_equal(pushed, one_by_one)
        if warm == 0 and done >= WARM_UP:
            warm = process.memory_info().rss
        if done == WARM_UP or done % (options.frames // 10) == 0:
            row = (done, process.memory_info().rss / 1e6, time.perf_counter() - start, same)
            print("| {} | {:.1f} | {:.0f} | {} |".format(*row), flush=True)
    same &= np.array_equal(many.finish(), single.finish())
    counts = (many.frames_in, many.frames_out, single.frames_out)
    grown = (process.memory_info().rss - warm) / 1e6
    print(
        f"\n{counts[0]} frames in, {counts[1]} and {counts[2]} out, the same: {same};"
        f" grown since warm-up: {grown:.1f} MB"
    )


def _frames(count: int) -> Iterator[tuple[int, Pictures]]:
    rng = np.random.default_rng(0)
    for done in range(0, count, PUSH):
        size = min(PUSH, count - done)
        yield done + size, rng.integers(0, 256, (size, SIDE, SIDE, 3), dtype=np.uint8)


if __name__ == "__main__":
    main()
