"""docs/parameters.md says what the table of knobs says, and its commands parse."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from flashvsr_client.cli.main import flashvsr
from flashvsr_engine.knobs import KNOBS, Knob

PAGE = Path(__file__).parents[2] / "docs" / "parameters.md"
TEXT = PAGE.read_text()
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in TEXT.splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 6 and cells[0].startswith("`")
}
COMMANDS = [
    words
    for line in [*"\n".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)).splitlines(), *re.findall("`(.*?)`", TEXT)]
    if (words := shlex.split(line, comments=True))[:2] == ["flashvsr", "upscale"] and len(words) > 2
]


def shown(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_the_table_has_every_knob_and_no_other() -> None:
    assert list(ROWS) == [knob.name for knob in KNOBS]


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_a_row_says_what_the_knob_is(knob: Knob) -> None:
    values, default, *effects = ROWS[knob.name]
    assert default == ("from the manifest" if knob.default is None else shown(knob.default))
    if knob.choices or (knob.low is not None and knob.name != "seed"):
        assert values == knob.allowed
    for sentence, cell in zip((knob.picture, knob.speed, knob.memory), effects, strict=True):
        assert sentence in cell  # the page may add figures


@pytest.mark.parametrize("knob", [knob for knob in KNOBS if knob.theirs is not None], ids=lambda knob: knob.name)
def test_a_default_that_is_not_the_communitys_is_explained(knob: Knob) -> None:
    theirs, ours = re.escape(shown(knob.theirs)), re.escape(shown(knob.default))
    assert re.search(rf"^\| `{knob.name}` \| {theirs}[^|]* \| {ours} \| [^|]+ \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_lines_parse(words: list[str]) -> None:
    command = flashvsr.get_command(click.Context(flashvsr), words[1])
    assert command is not None
    assert command.make_context(words[1], words[2:]).params["local"]


def test_there_are_commands_in_both_spellings() -> None:
    assert any("--tiled_dit" in words for words in COMMANDS)
    assert any("--tiled-dit" in words for words in COMMANDS)


@pytest.mark.parametrize("link", re.findall(r"\]\(((?!http)[^)]+)\)", TEXT))
def test_links_lead_somewhere(link: str) -> None:
    assert (PAGE.parent / link).exists()
