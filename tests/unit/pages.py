"""Pages of documentation as tests look at them: sections with their code, tables, numbers and links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

LINK = re.compile(r"\]\(((?!http)[^)#]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
HEADING = re.compile(r"^(#+) ", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.^-])(\d+(?:[.,]\d+)*)(?:st|nd|rd|th)?(?![\w^])", re.ASCII)
COUNTED = ((re.compile(r"([\d.]+) million"), 10**6), (re.compile(r"([\d.]+) 万"), 10**4))
"""How either language writes large numbers."""


@dataclass(frozen=True)
class Section:
    """What stands between two headings. level: of the heading above it, 0 before the first."""

    level: int
    text: str

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """Language and code of the fenced blocks, without comments, which are translated."""
        return [(kind, _bare(code)) for kind, code in FENCE.findall(self.text)]

    @property
    def prose(self) -> str:
        """All but the blocks."""
        return FENCE.sub("", self.text)

    @property
    def spans(self) -> set[str]:
        """What stands between backticks."""
        return set(SPAN.findall(self.prose))

    @property
    def tables(self) -> list[tuple[tuple[str, ...], ...]]:
        """Cells of each table, the line of dashes left out."""
        found = re.findall(r"(?:^\|.*\n?)+", self.prose, re.MULTILINE)
        return [tuple(row for row in map(_cells, table.splitlines()) if not _is_rule(row)) for table in found]

    @property
    def numbers(self) -> set[Decimal]:
        """Of the prose, those of two digits or more; smaller ones may be words in either language."""
        text = SPAN.sub("", re.sub(r"\]\([^)]*\)", "]", self.prose))
        for pattern, factor in COUNTED:
            text = pattern.sub(_written_out(factor), text)
        told = (number.replace(",", "") for number in NUMBER.findall(text))
        return {Decimal(number) for number in told if len(number) > 1}


@dataclass(frozen=True)
class Page:
    """A page, as its text."""

    text: str

    @property
    def sections(self) -> list[Section]:
        """In order, the part before the first heading included."""
        code = [range(match.start(), match.end()) for match in FENCE.finditer(self.text)]
        heads = [m for m in HEADING.finditer(self.text) if not any(m.start() in block for block in code)]
        starts = [0, *(head.start() for head in heads)]
        levels = [0, *(len(head[1]) for head in heads)]
        ends = [*starts[1:], len(self.text)]
        return [Section(level, self.text[a:b]) for level, a, b in zip(levels, starts, ends, strict=True)]

    @property
    def links(self) -> set[str]:
        """Targets in this repository, without the place in the page."""
        return set(LINK.findall(self.text))

    @property
    def commands(self) -> list[list[str]]:
        """Words of each line of shell."""
        blocks = [code for kind, code in FENCE.findall(self.text) if kind == "sh"]
        return [words for line in "\n".join(blocks).splitlines() if (words := shlex.split(line, comments=True))]

    def told(self) -> Iterator[list[str]]:
        """Words of whatever the page gives as a command or as a part of one: lines of shell, and spans."""
        yield from self.commands
        for span in SPAN.findall(FENCE.sub("", self.text)):
            yield span.split()


def _written_out(factor: int) -> Callable[[re.Match[str]], str]:
    return lambda match: str(int(Decimal(match[1]) * factor))


def _bare(code: str) -> str:
    return "\n".join(re.split(r"(?:^|\s+)# ", line)[0].rstrip() for line in code.splitlines())


def _cells(row: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in row.strip().strip("|").split("|"))


def _is_rule(row: tuple[str, ...]) -> bool:
    return all(re.fullmatch(r":?-+:?", cell) for cell in row)
