"""Recipes for small cards: the planned peak under each memory_limit, and what is given up for it. Needs no GPU.

    python -m bench.low_memory [--write]

prints a row for each output and mode, for weights of the published sizes in bf16 at scale 4. A cell is the planned
peak, then the numbers of the steps that were taken, as `steps.LADDER` has them from 1; "≥" is the least that would do,
where nothing fits. Planning runs the network on tensors without values: all cells take minutes.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from unittest.mock import patch

import torch
from flashvsr_engine import ConfigError, EngineConfig, FlashVSREngine
from flashvsr_engine.config import Mode
from flashvsr_engine.plan import Plan
from flashvsr_engine.steps import LADDER

from bench.published import on_paper

DOCS: Final = Path(__file__).parents[1] / "docs"
PAGES: Final = (DOCS / "low-memory.md", DOCS / "zh-CN" / "low-memory.md")
GIB: Final = 1 << 30
LIMITS: Final = (24, 16, 12, 8, 6)
"""Of memory_limit, GiB."""
CASES: Final[tuple[tuple[Mode, tuple[tuple[int, int], ...]], ...]] = (
    ("tiny", ((352, 192), (480, 270), (640, 360))),
    ("full", ((352, 192), (480, 270))),
)
"""Sizes of the input for each mode, in pixels; the output is 4 times as wide and as high."""
CAPABILITY: Final = (8, 9)
"""Of the card that is planned for. Peaks for (9, 0) are the same."""
ROWS: Final = re.compile(r"(?:^\| \d+x\d+ \| (?:tiny|full) \|.*\n)+", re.MULTILINE)


def engine(mode: Mode, limit_gib: int) -> FlashVSREngine:
    """An engine that can only plan, as it would be on a card."""
    config = EngineConfig(mode=mode, device="cuda", precision="bf16", memory_limit=limit_gib * GIB, cuda_graphs=False)
    return on_paper(config, torch.device("cuda"), torch.bfloat16)


def cell(mode: Mode, width: int, height: int, limit_gib: int) -> str:
    """What the plan says, or the least that would do."""
    try:
        with patch("torch.cuda.get_device_capability", return_value=CAPABILITY):  # the card need not be here
            plan = engine(mode, limit_gib).plan(width, height)
    except ConfigError as error:
        return re.sub(r".* needs at least (\S+ GiB).*", r"≥ \1", str(error))
    return f"{plan.peak_bytes / GIB:.2f} GiB" + numbers(plan)


def numbers(plan: Plan) -> str:
    """Those of the steps that the plan takes: " (1, 8)", or nothing."""
    places = {rung.name: place for place, rung in enumerate(LADDER, 1)}
    taken = [str(places[rung.name]) for rung in plan.ladder if rung.taken]
    return f" ({', '.join(taken)})" if taken else ""


def rows() -> Iterator[str]:
    """Lines of the table, below its head."""
    for mode, sizes in CASES:
        for width, height in sizes:
            cells = " | ".join(cell(mode, width, height, limit) for limit in LIMITS)
            yield f"| {4 * width}x{4 * height} | {mode} | {cells} |"


def main() -> None:
    """Print the rows, and put them in place of those in both pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into docs/low-memory.md and docs/zh-CN/low-memory.md")
    write, lines = parser.parse_args().write, []
    for line in rows():
        print(line, flush=True)
        lines.append(f"{line}\n")
    for page in PAGES if write else ():
        page.write_text(ROWS.sub("".join(lines), page.read_text()))


if __name__ == "__main__":
    main()
