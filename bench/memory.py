"""Whether budgets are kept: planned and measured peaks on a CUDA device, and whether the picture stays as it was.

    python -m bench.memory --size 352x192 --limits none,10GiB,8GiB,6GiB,5GiB

prints a row for each limit, on random weights of the published sizes. Measured is torch's peak of allocated bytes over
three chunks. The picture is compared with that of the first limit: "inf" dB is the same to the bit.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import numpy.typing as npt
import torch
from flashvsr_engine import ConfigError, EngineConfig, FlashVSREngine
from flashvsr_engine.memory import format_bytes

from bench import published

CHUNKS = 3

Pictures = npt.NDArray[np.uint8]


def main() -> None:
    """Parse the options, measure, print a row for each limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="352x192", help="of the input, WIDTHxHEIGHT")
    parser.add_argument("--limits", default="none,10GiB,8GiB,6GiB,5GiB")
    parser.add_argument("--mode", default="tiny")
    parser.add_argument("--precision", default="bf16")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    frames = np.random.default_rng(0).integers(0, 256, (25 + 8 * CHUNKS, height, width, 3), dtype=np.uint8)
    names = (
        "limit",
        "planned",
        "measured",
        "ratio",
        "reserved",
        "state",
        "in host memory",
        "ms per 8",
        "dB to the first",
        "steps",
    )
    print("| " + " | ".join(names) + " |\n" + "| --- " * len(names) + "|")
    plain: Pictures | None = None
    for limit in options.limits.split(","):
        config = EngineConfig(
            mode=options.mode,
            precision=options.precision,
            device="cuda",
            memory_limit=None if limit == "none" else limit,
        )
        engine = FlashVSREngine.of(config, published.network(options.mode == "full", torch.device("cuda"), 0))
        try:
            plan = engine.plan(width, height)
        except ConfigError as error:
            print(f"| {limit} | {error} |")
            continue
        peak, reserved, seconds, made = _measured(engine, frames)
        plain = made if plain is None else plain
        steps = "; ".join(rung.name for rung in plan.ladder if rung.taken) or "plain"
        sizes = (format_bytes(n) for n in (plan.peak_bytes, peak))
        rest = (format_bytes(n) for n in (reserved, plan.state_bytes, plan.host_bytes))
        cells = [
            limit,
            *sizes,
            f"{plan.peak_bytes / peak:.3f}",
            *rest,
            f"{seconds * 1e3:.0f}",
            f"{_psnr(made, plain):.1f}",
            steps,
        ]
        print("| " + " | ".join(cells) + " |", flush=True)


def _psnr(a: Pictures, b: Pictures) -> float:
    error = np.square(a.astype(np.float32) - b).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def _measured(engine: FlashVSREngine, frames: Pictures) -> tuple[int, int, float, Pictures]:
    """Peak of allocated and of reserved bytes, seconds of the last chunk, and the frames."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    made, seconds = [], 0.0
    with engine.open(frames.shape[2], frames.shape[1]) as session:
        for start in (0, *range(25, len(frames), 8)):
            begin = time.perf_counter()
            made.append(session.push(frames[start : start + (8 if start else 25)]))
            seconds = time.perf_counter() - begin
    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved(), seconds, np.concatenate(made)


if __name__ == "__main__":
    main()
