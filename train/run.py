"""Train the built-in model: python -m train.run --config train/builtin.toml --photos DIR --out DIR --minutes 18."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import torch
from flashvsr_engine.devices import keep_freed_memory
from flashvsr_engine.weights import load_network

from train.budget import Budget
from train.config import TrainConfig, read_config
from train.export import export
from train.graphics import draw_graphics
from train.photos import PhotoPool, read_picture
from train.sources import read_sources, split
from train.trainer import Trainer

CHECK_STEP = 600
DEAD_RATIO = 0.995


class DeadRunError(Exception):
    """The network's output is that of bicubic interpolation, or no number at all: start again, with other settings."""


def header(trainer: Trainer, photographs: int) -> str:
    """The first line of the log: what trains, where, and on how much."""
    device = trainer.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "a CPU"
    entry = {"device": name, "torch": torch.__version__, "parameters": trainer.parameters, "photographs": photographs}
    return json.dumps(entry)


def train(trainer: Trainer, budget: Budget, out: Path, log_every: int, checkpoint_minutes: float) -> Iterator[str]:
    """Train to the end of the budget; yields lines of JSON. `out`/builtin holds the last checkpoint at any time.

    DeadRunError when the loss shows that nothing is being learnt.
    """
    begin = last_log = last_checkpoint = time.monotonic()
    sums, counted = torch.zeros(2), 0
    while (progress := budget.progress(trainer.steps, time.monotonic() - begin)) < 1:
        losses = torch.stack(trainer.step(progress))
        sums, counted = sums.to(losses.device) + losses, counted + 1
        if trainer.steps % log_every:
            continue
        loss, bicubic = (sums / counted).tolist()
        now = time.monotonic()
        entry = {
            "step": trainer.steps,
            "seconds": round(now - begin, 1),
            "progress": round(progress, 4),
            "loss": round(loss, 6),
            "to_bicubic": round(loss / bicubic, 5),
            "steps_per_s": round(counted / (now - last_log), 3),
            "clips": trainer.clips,
        }
        yield json.dumps(entry)
        _check_alive(trainer.steps, loss / bicubic)
        sums, counted, last_log = torch.zeros(2), 0, now
        if now - last_checkpoint > 60 * checkpoint_minutes:
            export(trainer.averaged(), out / "builtin")
            last_checkpoint = time.monotonic()
    export(trainer.averaged(), out / "builtin")
    yield json.dumps({"step": trainer.steps, "seconds": round(time.monotonic() - begin, 1), "done": True})


def _check_alive(step: int, ratio: float) -> None:
    if not math.isfinite(ratio):
        raise DeadRunError(f"The loss is {ratio} at step {step}.")
    if step >= CHECK_STEP and ratio > DEAD_RATIO:
        raise DeadRunError(f"The loss is {ratio:.4f} of bicubic's at step {step}: the decoder has died.")


def main() -> None:
    """The command."""
    options = _parser().parse_args()
    config = _config(options)
    budget = Budget(options.minutes, options.steps)
    torch.backends.cudnn.benchmark = True
    if options.device == "cpu":
        keep_freed_memory()
    options.out.mkdir(parents=True, exist_ok=True)
    photographs = split(read_sources(options.photos), config.data.held_out).training
    graphics = draw_graphics(config.data.graphics, config.seed)
    pictures = chain((read_picture(options.photos / p.name) for p in photographs), graphics)
    pool = PhotoPool(pictures, torch.device(options.device))
    initial = None if options.init is None else load_network(options.init)
    trainer = Trainer(config, pool, compiled=not options.no_compile, initial=initial)
    lines = chain(
        [header(trainer, len(photographs))],
        train(trainer, budget, options.out, options.log_every, options.checkpoint_minutes),
    )
    with (options.out / "log.jsonl").open("w", buffering=1) as log:
        for line in lines:
            print(line, flush=True)
            log.write(line + "\n")


def _config(options: argparse.Namespace) -> TrainConfig:
    config = read_config(options.config)
    if options.batch is None:
        return config
    return replace(config, data=replace(config.data, batch=options.batch))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train.run", description="Train the built-in model.")
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("builtin.toml"))
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs; SOURCES.csv in or above it")
    parser.add_argument("--out", type=Path, required=True, help="gets log.jsonl and the weights folder builtin/")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="length of the run by the clock, compiling included")
    length.add_argument("--steps", type=int)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--init", type=Path, help="weights folder to go on from, in place of random weights")
    parser.add_argument("--batch", type=int, help="clips to a batch, in place of the configuration's")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--log-every", type=int, default=50)
    parser.add_argument("--checkpoint-minutes", type=float, default=2.0)
    return parser


if __name__ == "__main__":
    main()
