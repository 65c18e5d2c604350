"""Write the tables of the built-in model's quality into the pages that show them: python -m train.publish --help.

A table stands below a line `<!-- train.publish: NAME -->` and is replaced up to its last row; where
readers have its words in two languages, only its figures are.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.tables import Evaluation, films_table, gains, scores_table

ROOT = Path(__file__).parents[1]
KEPT = Path(__file__).with_name("logs")
"""Where the evaluations are whose figures the pages show."""
READERS = ("README.md", "README.zh-CN.md")


def pages(root: Path, evaluations: list[Evaluation], demo: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Each page, and its text with the tables of these evaluations. ValueError for a page without its marker."""
    results = root / "bench" / "RESULTS.md"
    text = filled(results.read_text(), "scores", scores_table(evaluations))
    yield results, filled(text, "films", films_table(evaluations))
    for name in READERS:
        page = root / name
        yield page, refilled(page.read_text(), "quality", gains(evaluations, demo))


def filled(text: str, name: str, table: str) -> str:
    """Put a table in place of the one below the marker of that name. ValueError where there is no such marker."""
    before, _, after = _parts(text, name)
    return before + table + after


def refilled(text: str, name: str, cells: list[list[str]]) -> str:
    """Put cells into the table below the marker, whose head and first column, in the page's language, stay.

    ValueError for a table of another number of rows.
    """
    before, table, after = _parts(text, name)
    head, rows = table.splitlines()[:2], table.splitlines()[2:]
    if len(rows) != len(cells):
        raise ValueError(f"the table {name} has {len(rows)} rows: it needs {len(cells)}; write their first cells.")
    labels = [row.split("|")[1].strip() for row in rows]
    filled_rows = [f"| {label} | {' | '.join(row)} |" for label, row in zip(labels, cells, strict=True)]
    return before + "\n".join([*head, *filled_rows]) + "\n" + after


def _parts(text: str, name: str) -> tuple[str, str, str]:
    """What is before a table, the marker included; the table; what is after it."""
    marker = f"<!-- train.publish: {name} -->\n"
    before, found, after = text.partition(marker)
    if not found:
        raise ValueError(f"the page has no line {marker.strip()}: put it where the table belongs.")
    rest = re.sub(r"\A(?:\|.*\n)*", "", after)
    return before + marker, after[: len(after) - len(rest)], rest


def kept(folder: Path = KEPT) -> tuple[list[Evaluation], dict[str, Any]]:
    """The evaluations of a folder, and its scores of the demo."""
    evaluations = [json.loads(path.read_text()) for path in sorted(folder.glob("evaluation_*x.json"))]
    return evaluations, json.loads((folder / "demo.json").read_text())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m train.publish", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--from",
        dest="folder",
        type=Path,
        default=KEPT,
        help="folder of evaluation_*x.json, by train.evaluate, and of demo.json, by `flashvsr compare --json`",
    )
    for page, text in pages(ROOT, *kept(parser.parse_args().folder)):
        page.write_text(text)


if __name__ == "__main__":
    main()
