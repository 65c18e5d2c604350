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
    plan = next(plan for plan in sizing.plans(kv_ratio, sizing.SIZES[:1]))
    row = sizing.row(plan, kv_ratio)
    assert row in TEXT, "run: python -m bench.sizing --write"
    used = [int(cell) for cell in row.strip("| ").split(" | ")[-len(sizing.CARDS) :]]
    work = plan.peak_bytes - plan.state_bytes
    for card, count in zip(sizing.CARDS, used, strict=True):
        room = card * sizing.GIB * 0.8
        assert work + count * plan.state_bytes <= room < work + (count + 1) * plan.state_bytes


def test_every_line_of_the_configuration_is_explained() -> None:
    lines = (ROOT / "config.properties").read_text().splitlines()
    settings = [index for index, line in enumerate(lines) if line and not line.startswith("#")]
    assert len(settings) >= 15
    for index in settings:
        assert lines[index - 1].startswith("# "), lines[index]
        assert max(map(len, lines)) <= 120
