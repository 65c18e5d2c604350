"""The Chinese pages name only what exists: options, commands, settings, files; and every parameter."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from flashvsr_client.cli.main import flashvsr
from flashvsr_engine.cli.main import run as run_engine_command
from flashvsr_engine.knobs import KNOBS, Knob
from flashvsr_handler.serve.options import parse as parse_server
from flashvsr_handler.settings import Settings

from tests.unit.pages import Page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "zh-CN"
PAGES = {page: Page(page.read_text()) for page in [ROOT / "README.zh-CN.md", *sorted(DOCS.glob("*.md"))]}
COMPOSE = (ROOT / "compose.yaml").read_text()
OTHERS = {"--constraint"}
"""Options of other programs that stand alone in prose."""
ENGLISH = {
    " 到 ": " to ",
    "目录": "a folder",
    "大小（如 8GiB）": "a size such as 8GiB",  # noqa: RUF001
    "取自 manifest": "from the manifest",
}
"""What the cells of values and defaults have in words."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in PAGES[page].links:
        assert (page.parent / link).exists(), link


def shown(default: object) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def in_english(cell: str) -> str:
    for chinese, english in ENGLISH.items():
        cell = cell.replace(chinese, english)
    return cell


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_every_parameter_has_its_row(knob: Knob) -> None:
    tables = [table for section in PAGES[DOCS / "parameters.md"].sections for table in section.tables]
    rows = {row[0].strip("`"): row[1:] for table in tables for row in table[1:] if len(row) == 6}
    assert list(rows) == [known.name for known in KNOBS]
    values, default, *effects = rows[knob.name]
    assert in_english(default) == ("from the manifest" if knob.default is None else shown(knob.default))
    if knob.choices or (knob.low is not None and knob.name != "seed"):
        assert in_english(values) == knob.allowed
    for said, cell in zip((knob.picture, knob.speed, knob.memory), effects, strict=True):
        assert (cell == "相同。") == (said == "The same.")


def click_options(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]} | {"--help"}


CLIENT = {
    name: click_options(command)
    for name in flashvsr.list_commands(click.Context(flashvsr))
    if (command := flashvsr.get_command(click.Context(flashvsr), name))
}


@pytest.fixture
def options(capsys: pytest.CaptureFixture[str]) -> dict[str, set[str]]:
    """Those of each program, as its help lists them."""

    def of_help(*lines: list[str]) -> set[str]:
        for line in lines:
            with pytest.raises(SystemExit):
                parse_server(line, {}) if line == ["--help"] else run_engine_command(line)
        return set(re.findall(r"--[a-z][a-z0-9-]+", capsys.readouterr().out))

    commands = ("fetch", "verify", "convert", "info")
    return {
        "flashvsr": set().union(*CLIENT.values()),
        "flashvsr-serve": of_help(["--help"]),
        "flashvsr-engine": of_help(*(["weights", command, "--help"] for command in commands)),
    }


def told(page: Path) -> list[list[str]]:
    """Commands and options that the page gives as ours: what other tools take stands in a table's first column."""
    text = PAGES[page].text
    if page.name == "migration.md":
        text = re.sub(r"^\|[^|]*\|", "|", text, flags=re.MULTILINE)
    return list(Page(text).told())


@each_page
def test_commands_and_options_exist(page: Path, options: dict[str, set[str]]) -> None:
    known = set().union(*options.values()) | OTHERS
    seen = 0
    for words in told(page):
        program = words[0]
        if program == "flashvsr" and len(words) > 1:
            assert words[1] in CLIENT, words
            allowed = CLIENT.get(words[1], set())
        elif program.startswith("-"):
            allowed = known | {"-t", "-ss", "-o", "-y", "-q"}
        else:
            allowed = options.get(program, known)
            if program not in options:
                continue
        seen += 1
        for word in words:
            if re.match(r"--?[a-z]", word):
                assert word.split("=")[0].replace("_", "-") in allowed, words
    assert seen


@each_page
def test_commands_parse(page: Path) -> None:
    for words in PAGES[page].commands:
        if words[0] == "flashvsr" and words[1] in CLIENT:
            command = flashvsr.get_command(click.Context(flashvsr), words[1])
            assert command is not None
            command.make_context(words[1], words[2:])


@each_page
def test_settings_in_the_environment_exist(page: Path) -> None:
    for name in re.findall(r"\bFLASHVSR_[A-Z_]+", PAGES[page].text):
        assert name.removeprefix("FLASHVSR_").lower() in Settings.__dataclass_fields__ or f"${{{name}:-" in COMPOSE, (
            name
        )


def test_defaults_of_compose_are_those_that_are_told() -> None:
    tables = [table for section in PAGES[DOCS / "docker.md"].sections for table in section.tables]
    (table,) = (table for table in tables if table[0][0] == "环境变量")
    told = {row[0].strip("`"): row[2] for row in table[1:]}
    real = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE))
    assert set(told) == set(real)
    for name, value in real.items():
        assert told[name] == value or not value
