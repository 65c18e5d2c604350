"""docs/operations.md: every error has its row, the sizing is what the plans say, and links and settings exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flashvsr_handler.settings import Settings
from flashvsr_proto.v1 import stream_pb2 as pb

from bench import sizing

ROOT = Path(__file__).parents[3]
PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("operations.md", "protocol.md")}
TEXT = PAGES["operations.md"]


def test_every_code_is_in_the_runbook_and_no_other() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$", TEXT, re.MULTILINE)
    told = [row for row in rows if f"ERROR_CODE_{row}" in pb.ErrorCode.keys()]  # noqa: SIM118 - no mapping
    codes = {name.removeprefix("ERROR_CODE_") for name in pb.ErrorCode.keys()}  # noqa: SIM118
    assert set(told) == codes - {"UNSPECIFIED"}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(((?!http)[^)#]+)\)", PAGES[page])
    assert links
    for link in links:
        assert (ROOT / "docs" / link).exists(), link


def test_settings_that_are_named_exist() -> None:
    for name in ("max_sessions", "memory_limit", "kv_ratio", "park_after_s", "hang_timeout_s"):
        assert name in Settings.__dataclass_fields__
    for name in re.findall(r"FLASHVSR_([A-Z_]+)`", TEXT):
        assert name == "GPU" or name.lower() in Settings.__dataclass_fields__


@pytest.mark.parametrize("kv_ratio", sizing.KV_RATIOS)
def test_a_row_of_the_sizing_is_what_the_plan_says(kv_ratio: float) -> None:
    """To within 5 %: kernels change the work a little, now and then."""
    plan = next(plan for plan in sizing.plans(kv_ratio, sizing.SIZES[:1]))
    start = f"| {plan.width}x{plan.height} | {plan.out_width}x{plan.out_height} | {kv_ratio:g} |"
    (told,) = (line for line in TEXT.splitlines() if line.startswith(start))
    state, work, *counts = (float(cell.split()[0]) for cell in told.removeprefix(start).strip("| ").split(" | "))
    assert state * sizing.GIB == pytest.approx(plan.state_bytes, rel=0.05), "run: python -m bench.sizing --write"
    assert work * sizing.GIB == pytest.approx(plan.peak_bytes - plan.state_bytes, rel=0.05)
    for card, count in zip(sizing.CARDS, counts, strict=True):
        assert count == pytest.approx(sizing.sessions(plan, card), rel=0.05)


def test_every_line_of_the_configuration_is_explained() -> None:
    lines = (ROOT / "config.properties").read_text().splitlines()
    settings = [index for index, line in enumerate(lines) if line and not line.startswith("#")]
    assert len(settings) >= 15
    for index in settings:
        assert lines[index - 1].startswith("# "), lines[index]
        assert max(map(len, lines)) <= 120
