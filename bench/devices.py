"""Sessions on several devices at once, one process each, beside one alone.

    python -m bench.devices cuda:0 cuda:1 --weights published --size 352x192

prints the frames a second of the first device alone, of all together, and their ratio. All time the same seconds: none
begins before every one is warm.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from multiprocessing.synchronize import Barrier
from typing import Any

import numpy as np
from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_engine.devices import resolve_device

from bench import published

WARM_CHUNKS = 9
"""First chunks, of which some are recorded as CUDA graphs."""


def rate(devices: list[str], options: argparse.Namespace) -> float:
    """Frames a second of one stream on each device, all at once."""
    spawn = multiprocessing.get_context("spawn")
    ready, rates = spawn.Barrier(len(devices)), spawn.Queue()
    runs = [spawn.Process(target=_run, args=(device, options, ready, rates)) for device in devices]
    for run in runs:
        run.start()
    total = sum(rates.get() for _ in runs)
    for run in runs:
        run.join()
    return float(total)


def _run(device: str, options: argparse.Namespace, ready: Barrier, rates: Any) -> None:
    width, height = (int(side) for side in options.size.split("x"))
    config = EngineConfig(device=device)
    if options.weights == "published":
        engine = FlashVSREngine.of(config, published.network(full=False, device=resolve_device(device), seed=0))
    else:
        engine = FlashVSREngine.load(config)
    frames = np.random.default_rng(0).integers(0, 256, (25, height, width, 3), dtype=np.uint8)
    with engine.open(width, height) as session:
        session.push(frames)
        for _ in range(WARM_CHUNKS if engine.device.type == "cuda" else 1):
            session.push(frames[:8])
        ready.wait()
        began = time.perf_counter()
        for _ in range(options.chunks):
            session.push(frames[:8])
        rates.put(8 * options.chunks / (time.perf_counter() - began))


def main() -> None:
    """Parse the options, measure, print a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("devices", nargs="+")
    parser.add_argument("--weights", default="builtin", help="builtin or published (random)")
    parser.add_argument("--size", default="160x96", help="of the input, WIDTHxHEIGHT")
    parser.add_argument("--chunks", type=int, default=20)
    options = parser.parse_args()
    alone, together = rate(options.devices[:1], options), rate(options.devices, options)
    print("| devices | fps of the first alone | fps together | ratio |\n| --- | --- | --- | --- |")
    print(f"| {' '.join(options.devices)} | {alone:.1f} | {together:.1f} | {together / alone:.2f} |")


if __name__ == "__main__":
    main()
