"""What the server costs: frames per second through TorchServe and gRPC beside those of the engine alone.

    python -m bench.serving --sizes 160x96,480x270

starts flashvsr-serve on free ports, streams random frames through `flashvsr_client`, then through an engine in this
process, and says whether the frames are the same, bit for bit. The second half of a stream counts as steady.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
from flashvsr_client import Client
from flashvsr_client.demo import server
from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_engine.devices import keep_freed_memory

from bench.engine import commit, device_name

SCALE = 4
Pictures = npt.NDArray[np.uint8 | np.uint16]


def main() -> None:
    """Parse the options, measure, print a row for each size and path."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="160x96", help="of the input, WIDTHxHEIGHT,...")
    parser.add_argument("--frames", type=int, default=81)
    options = parser.parse_args()
    engine = FlashVSREngine.load(EngineConfig())
    if engine.device.type == "cpu":
        keep_freed_memory()  # as the server does
    print("| size out | path | device | fps | first frame s | same frames | commit |\n" + "| --- " * 7 + "|")
    with TemporaryDirectory() as folder, server.running(Path(folder) / "log") as address, Client(address) as client:
        for size in options.sizes.split(","):
            width, height = (int(side) for side in size.split("x"))
            rng = np.random.default_rng(0)
            frames = rng.integers(0, 256, (options.frames, height, width, 3), dtype=np.uint8)
            reference: list[Pictures] = []
            for path, run in (("engine", _alone(engine)), ("server", _served(client))):
                given, first, fps = _timed(run(frames))
                same = "-" if path == "engine" else str(np.array_equal(given, reference))
                reference = given
                where = f"{width * SCALE}x{height * SCALE} | {path} | {device_name(engine.device)}"
                print(f"| {where} | {fps:.1f} | {first:.2f} | {same} | {commit()} |", flush=True)


def _alone(engine: FlashVSREngine) -> Callable[[Pictures], Iterator[Pictures]]:
    def run(frames: Pictures) -> Iterator[Pictures]:
        _, height, width, _ = frames.shape
        with engine.open(width, height, SCALE) as session:
            for start in range(0, len(frames), 8):
                yield from session.push(frames[start : start + 8])
            yield from session.finish()

    return run


def _served(client: Client) -> Callable[[Pictures], Iterator[Pictures]]:
    def run(frames: Pictures) -> Iterator[Pictures]:
        _, height, width, _ = frames.shape
        with client.open_session(width, height, scale=SCALE) as session:
            yield from session.upscale(frames)

    return run


def _timed(frames: Iterable[Any]) -> tuple[list[Pictures], float, float]:
    """The frames, seconds to the first, and frames per second over the second half."""
    start, given, times = time.perf_counter(), [], []
    for frame in frames:
        given.append(frame)
        times.append(time.perf_counter())
    half = len(times) // 2
    return given, times[0] - start, (len(times) - 1 - half) / (times[-1] - times[half])


if __name__ == "__main__":
    main()
