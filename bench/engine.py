"""How fast the engine is on this machine, in steady state, and what it holds.

    python -m bench.engine --size 160x96 --scale 4 --precision bf16

prints one row of bench/RESULTS.md. Frames are random, uint8 in and out; the first chunk and one more are warm-up.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_engine.devices import keep_freed_memory

HEADER = (
    "| size out | weights | precision | device | fps | ms per 8 frames | first frame s | state MB | peak MB | commit |"
)


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds, frames and bytes of one run."""

    fps: float
    chunk_seconds: float
    first_frame_seconds: float
    state_bytes: int
    peak_bytes: int


def measure(engine: FlashVSREngine, width: int, height: int, chunks: int) -> Result:
    """Push `chunks` chunks of 8 frames after the warm-up; the median chunk counts."""
    frames = np.random.default_rng(0).integers(0, 256, (25, height, width, 3), dtype=np.uint8)
    session = engine.open(width, height)
    first = _timed(lambda: session.push(frames))
    session.push(frames[:8])
    seconds = statistics.median(_timed(lambda: session.push(frames[:8])) for _ in range(chunks))
    return Result(8 / seconds, seconds, first, session.state.nbytes, _peak_bytes(engine.device))


def _timed(call: object) -> float:
    start = time.perf_counter()
    assert callable(call)
    call()  # numpy comes back, so the device is done
    return time.perf_counter() - start


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def device_name(device: torch.device) -> str:
    """The name that people know the device by."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.processor() or platform.machine()} x{torch.get_num_threads()}"


def commit() -> str:
    """Short hash of the checkout, with a plus when it has changes."""
    here = Path(__file__).parent
    run = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=here, capture_output=True, text=True, check=False
    )
    return run.stdout.strip() or "unknown"


def main() -> None:
    """Parse the options, measure, print a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="160x96", help="of the input, WIDTHxHEIGHT")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--weights", default="builtin")
    parser.add_argument("--version", default=None)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--mode", default="tiny")
    parser.add_argument("--chunks", type=int, default=6)
    parser.add_argument("--give-back", action="store_true", help="give freed memory back, unlike the server")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    names = ("weights", "version", "precision", "device", "mode", "scale")
    engine = FlashVSREngine.load(EngineConfig(**{name: getattr(options, name) for name in names}))
    if engine.device.type == "cpu" and not options.give_back:
        keep_freed_memory()  # as the server does
    result = measure(engine, width, height, options.chunks)
    cells = [
        f"{width * options.scale}x{height * options.scale}",
        engine.name,
        str(engine.dtype).removeprefix("torch."),
        device_name(engine.device),
        f"{result.fps:.1f}",
        f"{result.chunk_seconds * 1000:.0f}",
        f"{result.first_frame_seconds:.2f}",
        f"{result.state_bytes / 1e6:.0f}",
        f"{result.peak_bytes / 1e6:.0f}",
        commit(),
    ]
    print(HEADER + "\n| " + " | ".join(["---"] * len(cells)) + " |\n| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
