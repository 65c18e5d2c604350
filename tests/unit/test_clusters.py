"""docs/clusters.md: its commands parse, its links lead somewhere, its sizing is what the command prints."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click
import pytest
from flashvsr_client.cli.main import flashvsr

from bench import film

PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"
TEXT = PAGE.read_text()
LINES = "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)).splitlines()
COMMANDS = [words for line in LINES if (words := shlex.split(line, comments=True))[:2] == ["flashvsr", "upscale"]]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_lines_parse(words: list[str]) -> None:
    command = flashvsr.get_command(click.Context(flashvsr), words[1])
    assert command is not None
    assert command.make_context(words[1], words[2:]).params["ray"]


def test_every_option_of_the_cluster_is_explained() -> None:
    command = flashvsr.get_command(click.Context(flashvsr), "upscale")
    assert command is not None
    names = {name for parameter in command.params for name in parameter.opts if name.startswith("--ray")}
    assert len(COMMANDS) >= 4
    assert names == set(re.findall(r"^\| `(--ray[\w-]*)", TEXT, re.MULTILINE))


def test_the_sizing_is_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = re.findall(r"`python -m bench.film (.*?)`", TEXT)
    monkeypatch.setattr(sys, "argv", ["film", *shlex.split(line)])
    film.main()
    assert f"```\n{capsys.readouterr().out}```" in TEXT


def test_lengths_and_sizes() -> None:
    assert film.seconds_of("1h30m") == 5400
    with pytest.raises(ValueError, match="'2 h' is no length"):
        film.seconds_of("2 h")
    rows = film.measured(film.RESULTS.read_text(), "tiny", 128)
    assert film.nearest(rows, 3840 * 2160).height == max(row.height for row in rows)
    with pytest.raises(ValueError, match="no measurement of mode full with mask 64"):
        film.measured(film.RESULTS.read_text(), "full", 64)


@pytest.mark.parametrize("link", re.findall(r"\]\(((?!http)[^)#]+)\)", TEXT))
def test_links_lead_somewhere(link: str) -> None:
    assert (PAGE.parent / link).exists()
