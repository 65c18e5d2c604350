"""How fast the engine is on this machine, in steady state, and what it holds.

    python -m bench.engine --size 160x96 --scale 4 --precision bf16
    python -m bench.engine --weights published --size 352x192 --block-kv 64 --stages --parity

    python -m bench.engine --weights published --size 128x128 --sessions 4

prints one row of bench/RESULTS.md. Frames are random, uint8 in and out, and the engine is warm. `--weights published`
makes random weights of the published sizes. `--stages` then profiles some chunks more, `--parity` runs the float32
reference on the same weights beside it, and `--sessions` advances several sessions together and one after another.
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
import numpy.typing as npt
import torch
from flashvsr_engine import AttentionConfig, EngineConfig, FlashVSREngine
from flashvsr_engine.config import Precision
from flashvsr_engine.devices import keep_freed_memory, resolve_device
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.graphs import FIRST_RECORDED
from flashvsr_engine.kernels.backends import Backend

from bench import ceilings, published
from bench.parity import parity
from bench.stages import stages


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds, frames and bytes of one run."""

    fps: float
    chunk_seconds: float
    warmup_seconds: float
    first_frame_seconds: float
    state_bytes: int
    peak_bytes: int


def measure(engine: FlashVSREngine, width: int, height: int, chunks: int) -> Result:
    """Push `chunks` chunks of 8 frames after the warm-up; the median chunk counts."""
    warmup = _timed(lambda: engine.warmup(engine.plan(width, height)))
    session = engine.open(width, height)
    first = _timed(lambda: session.push(_frames(25, width, height)))
    frames = _frames(8, width, height)
    for _ in range(_settling(engine)):
        session.push(frames)
    seconds = statistics.median(_timed(lambda: session.push(frames)) for _ in range(chunks))
    return Result(8 / seconds, seconds, warmup, first, session.state.nbytes, _peak_bytes(engine.device))


def together(engine: FlashVSREngine, width: int, height: int, count: int, chunks: int) -> tuple[float, float]:
    """Frames a second of `count` sessions, advanced together and one after another."""
    sessions = [engine.open(width, height, seed=seed) for seed in range(count)]
    frames = [_frames(8, width, height)] * count
    engine.step_many(sessions, [_frames(25, width, height)] * count)
    rates = list[float]()

    def in_turn() -> None:
        for session in sessions:
            session.push(frames[0])

    for step in (lambda: engine.step_many(sessions, frames), in_turn):
        for _ in range(_settling(engine)):
            step()
        rates.append(8 * count / statistics.median(_timed(step) for _ in range(chunks)))
    return rates[0], rates[1]


def _frames(count: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def _settling(engine: FlashVSREngine) -> int:
    """Chunks until all is as it stays: on CUDA they are recorded, one for each place in the KV ring."""
    return FIRST_RECORDED + 1 + engine.config.attention.kv_slices if engine.device.type == "cuda" else 1


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
    """Parse the options, measure, print tables."""
    options = _options()
    width, height = (int(side) for side in options.size.split("x"))
    engine = _engine(options, options.precision, options.backend, graphs=not options.no_graphs)
    if engine.device.type == "cpu" and not options.give_back:
        keep_freed_memory()  # as the server does
    result = measure(engine, width, height, options.chunks)
    cells = {
        "size out": f"{width * options.scale}x{height * options.scale}",
        "weights": engine.name,
        "mode": options.mode,
        "mask": options.block_kv,
        "precision": str(engine.dtype).removeprefix("torch."),
        "device": f"{device_name(engine.device)}, torch {torch.__version__}",
        "fps": f"{result.fps:.1f}",
        "ms per 8 frames": f"{result.chunk_seconds * 1000:.1f}",
        "warm-up s": f"{result.warmup_seconds:.1f}",
        "first frame s": f"{result.first_frame_seconds:.2f}",
        "state MB": f"{result.state_bytes / 1e6:.0f}",
        "peak MB": f"{result.peak_bytes / 1e6:.0f}",
        "commit": commit(),
    }
    _print_table(list(cells), [list(cells.values())])
    if options.sessions > 1:
        joint, single = together(engine, width, height, options.sessions, options.chunks)
        row = [str(options.sessions), f"{joint:.1f}", f"{single:.1f}", f"{joint / single:.2f}"]
        _print_table(["sessions", "fps together", "fps one after another", "ratio"], [row])
    if options.stages:
        _print_stages(_engine(options, options.precision, options.backend, graphs=False), width, height, options)
    if options.parity:
        frames = np.random.default_rng(1).integers(0, 256, (33, height, width, 3), dtype=np.uint8)
        found = parity(engine, _engine(options, "fp32", "torch", graphs=False), frames)
        row = [f"{found.psnr:.1f}", f"{found.same_masks_psnr:.1f}", f"{found.agreement:.4f}"]
        _print_table(["PSNR to float32, dB", "with its masks, dB", "pairs in common"], [row])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="160x96", help="of the input, WIDTHxHEIGHT")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--weights", default="builtin", help="builtin, published (random) or a folder")
    parser.add_argument("--version", default=None)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--mode", default="tiny")
    parser.add_argument("--block-kv", type=int, default=128)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights")
    parser.add_argument("--chunks", type=int, default=6)
    parser.add_argument("--sessions", type=int, default=1, help="so many at once as well")
    parser.add_argument("--no-graphs", action="store_true", help="without CUDA graphs")
    parser.add_argument("--give-back", action="store_true", help="give freed memory back, unlike the server")
    parser.add_argument("--stages", action="store_true", help="also where the time goes")
    parser.add_argument("--parity", action="store_true", help="also how near the float32 reference is")
    return parser.parse_args()


def _engine(options: argparse.Namespace, precision: Precision, backend: Backend, graphs: bool) -> FlashVSREngine:
    config = EngineConfig(
        weights="builtin" if options.weights == "published" else options.weights,
        version=options.version,
        device=options.device,
        mode=options.mode,
        scale=options.scale,
        precision=precision,
        attention=AttentionConfig(block_kv=options.block_kv, backend=backend),
        cuda_graphs=graphs,
    )
    if options.weights != "published":
        return FlashVSREngine.load(config)
    made = published.network(options.mode == "full", resolve_device(config.device), options.seed)
    return FlashVSREngine.of(config, made)


def _print_stages(engine: FlashVSREngine, width: int, height: int, options: argparse.Namespace) -> None:
    session, frames = engine.open(width, height), _frames(8, width, height)
    session.push(_frames(25, width, height))
    spent = stages(engine, lambda: session.push(frames), options.chunks)
    asked = ceilings.work(Geometry(width, height, options.scale)) if options.weights == "published" else {}
    rows = []
    for name, ms in spent.items():
        rate = f"{asked[name] / ms / 1e9:.0f}" if name in asked and ms and options.mode != "full" else ""
        rows.append([name, f"{ms:.2f}", rate])
    rows.append(["a large product", "", f"{ceilings.product_rate(engine.device, engine.dtype) / 1e12:.3g}"])
    _print_table(["stage", "ms per 8 frames", "TFLOP/s"], rows)
    print(f"\nA large copy: {ceilings.copy_rate(engine.device) / 1e12:.3g} TB/s, read and written.")


def _print_table(names: list[str], rows: list[list[str]]) -> None:
    for cells in (names, ["---"] * len(names), *rows):
        print("| " + " | ".join(str(cell) for cell in cells) + " |")


if __name__ == "__main__":
    main()
