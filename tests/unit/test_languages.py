"""The Chinese pages say what the English ones say: the same code, names, figures, headings, tables and links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.pages import Page, Section

ROOT = Path(__file__).parents[2]
README = ROOT / "README.zh-CN.md"
PAIRS = {
    ROOT / "README.md": README,
    **{
        english: page
        for page in (ROOT / "docs" / "zh-CN").glob("*.md")
        if (english := ROOT / "docs" / page.name).exists()
    },
}
NAMES = {page: page.relative_to(ROOT).as_posix() for page in PAIRS}
PAGES = {page: Page(page.read_text()) for page in [*PAIRS, *PAIRS.values()]}

each_pair = pytest.mark.parametrize("english", PAIRS, ids=NAMES.get)


def sections(english: Path) -> list[tuple[Section, Section]]:
    return list(zip(PAGES[english].sections, PAGES[PAIRS[english]].sections, strict=True))


def test_what_has_to_be_in_both_is() -> None:
    assert {NAMES[english] for english in PAIRS} >= {"README.md", "docs/parameters.md", "docs/low-memory.md"}


@each_pair
def test_headings_are_as_many_and_of_the_same_levels(english: Path) -> None:
    levels = [[section.level for section in PAGES[page].sections] for page in (english, PAIRS[english])]
    assert levels[0] == levels[1]


@each_pair
def test_code_is_the_same_but_for_its_comments(english: Path) -> None:
    for ours, theirs in sections(english):
        assert theirs.blocks == ours.blocks
    assert PAGES[PAIRS[english]].commands == PAGES[english].commands
    assert PAGES[english].commands


@each_pair
def test_options_and_names_in_the_prose_are_the_same(english: Path) -> None:
    for ours, theirs in sections(english):
        assert theirs.spans == ours.spans


@each_pair
def test_tables_have_the_same_shape_and_first_names(english: Path) -> None:
    for ours, theirs in sections(english):
        shapes = [[len(row) for row in table] for table in theirs.tables]
        assert shapes == [[len(row) for row in table] for table in ours.tables]
        for table, other in zip(ours.tables, theirs.tables, strict=True):
            for row, translated in zip(table[1:], other[1:], strict=True):
                if row[0].startswith("`") or row[0].isdigit():
                    assert translated[0].replace("、", ", ") == row[0]


@each_pair
def test_figures_are_the_same(english: Path) -> None:
    for ours, theirs in sections(english):
        assert theirs.numbers == ours.numbers, ours.text.splitlines()[:1]


@each_pair
def test_links_lead_to_the_same_pages(english: Path) -> None:
    def leads(page: Path) -> set[str]:
        targets = (page.parent / link for link in PAGES[page].links)
        names = {target.resolve().relative_to(ROOT.resolve()).as_posix() for target in targets}
        return {name.replace("zh-CN/", "").replace(".zh-CN", "") for name in names}

    assert leads(english) - {"README.md"} <= leads(PAIRS[english])


def test_exit_codes_are_the_english_ones() -> None:
    rows = [re.findall(r"^\| (\d+) \|", PAGES[page].text, re.MULTILINE) for page in (ROOT / "README.md", README)]
    assert rows[0] == rows[1]
