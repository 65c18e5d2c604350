"""Sessions that a GPU carries, by resolution: from plans for weights of the published sizes. Needs no GPU.

    python -m bench.sizing [--write]

Sessions are those that the server admits by bytes: the sum of all states and the largest chunk's work, weights counted,
within 80 % of the card (state_bytes_budget's default). How many of them it serves in time is another question.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from unittest.mock import patch

import torch
from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_engine.plan import Plan
from flashvsr_handler.model import SHARE_OF_FREE

from bench.published import on_paper

PAGE: Final = Path(__file__).parents[1] / "docs" / "operations.md"
GIB: Final = 1 << 30
CARDS: Final = (24, 48, 80, 141)
"""Memory of usual cards, GiB."""
SIZES: Final = ((128, 128), (352, 192), (480, 270), (640, 360), (960, 540))
"""Of the input, in pixels; the output is 4 times as wide and as high."""
CAPABILITY: Final = (9, 0)
"""Decides which kernels are planned for, and so the work's bytes; states are the same on all."""
KV_RATIOS: Final = (3.0, 1.0)


def planner(kv_ratio: float, device: str = "cuda") -> FlashVSREngine:
    """Give an engine without values, as it would be on that device in bf16: it can only plan."""
    config = EngineConfig(device=device, precision="bf16", memory_limit=None, cuda_graphs=False)
    config = replace(config, attention=replace(config.attention, kv_ratio=kv_ratio))
    return on_paper(config, torch.device(device), torch.bfloat16)


def sessions(plan: Plan, card_gib: int) -> int:
    """How many sessions of that plan fit a card."""
    work = plan.peak_bytes - plan.state_bytes
    return max(0, int(card_gib * GIB * SHARE_OF_FREE) - work) // plan.state_bytes


def plans(kv_ratio: float, sizes: Sequence[tuple[int, int]] = SIZES) -> Iterator[Plan]:
    """Plans of those sizes."""
    with patch("torch.cuda.get_device_capability", return_value=CAPABILITY):  # the card need not be here
        engine = planner(kv_ratio)
        for width, height in sizes:
            yield engine.plan(width, height)


def row(plan: Plan, kv_ratio: float) -> str:
    """One line of the table."""
    sides = f"{plan.width}x{plan.height} | {plan.out_width}x{plan.out_height} | {kv_ratio:g}"
    room = f"{plan.state_bytes / GIB:.2f} GiB | {(plan.peak_bytes - plan.state_bytes) / GIB:.2f} GiB"
    fits = " | ".join(str(sessions(plan, card)) for card in CARDS)
    return f"| {sides} | {room} | {fits} |"


def table() -> Iterator[str]:
    """Rows for docs/operations.md."""
    cards = " | ".join(f"{card} GiB" for card in CARDS)
    yield f"| input | output | kv_ratio | state of one | weights and work | {cards} |"
    yield "| --- | --- | ---: | ---: | ---: |" + " ---: |" * len(CARDS)
    for kv_ratio in KV_RATIOS:
        for plan in plans(kv_ratio):
            yield row(plan, kv_ratio)


def main() -> None:
    """Print the table, or put it in place of the one in docs/operations.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into docs/operations.md")
    made = "\n".join(table()) + "\n"
    if not parser.parse_args().write:
        print(made, end="")
        return
    old = re.compile(r"^\| input \| output \| kv_ratio .*?\n(?!\|)", re.MULTILINE | re.DOTALL)
    PAGE.write_text(old.sub(made, PAGE.read_text()))


if __name__ == "__main__":
    main()
