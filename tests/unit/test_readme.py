"""What the README tells a reader to type exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from flashvsr_client.cli.main import flashvsr

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    return [words for line in "\n".join(blocks).splitlines() if (words := shlex.split(line, comments=True))]


def test_there_are_commands() -> None:
    names = {words[0] for words in commands()}
    assert names == {"make", "flashvsr", "flashvsr-serve"}


@pytest.mark.parametrize("words", [words for words in commands() if words[0] == "make"], ids=" ".join)
def test_make_targets_exist(words: list[str]) -> None:
    assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("words", [words for words in commands() if words[0] == "flashvsr"], ids=" ".join)
def test_command_lines_parse(words: list[str]) -> None:
    subcommand = flashvsr.get_command(click.Context(flashvsr), words[1])
    assert subcommand is not None
    subcommand.make_context(words[1], words[2:])


@pytest.mark.parametrize("link", re.findall(r"\]\(((?!http)[^)]+)\)", TEXT))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_exit_codes_are_the_real_ones() -> None:
    from flashvsr_client import errors

    told = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    real = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    assert told == (real - {1}) | {errors.EXIT_OK, errors.EXIT_INTERRUPTED}
