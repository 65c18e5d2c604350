"""Faults, and the seconds after which all is well again: runs tests/faults and keeps their figures.

    python -m bench.faults --write

prints a table; --write puts it into bench/RESULTS.md in place of the one before. The exit code is pytest's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from xml.etree import ElementTree

from bench.engine import commit

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
TITLE: Final = "## Faults"
TEXT: Final = """`make faults` runs tests/faults: a real server whose engine only waits, so that what is measured is
serving. "Recovery" is from the fault to the frames of a new session, asked for again and again; restarting a process is
most of it.
"""


def main() -> int:
    """Run the tests, print the table, keep it where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into bench/RESULTS.md")
    parser.add_argument("--from", dest="report", type=Path, help="take pytest's XML from there and run nothing")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        report, code = options.report, 0
        if report is None:
            report = Path(folder) / "report.xml"
            pytest = [sys.executable, "-m", "pytest", *files(), "-m", "faults", "-o", "junit_family=xunit1"]
            code = subprocess.run([*pytest, f"--junitxml={report}"], check=False).returncode
        section = "\n".join([f"{TITLE}\n", f"{TEXT}Commit {commit()}.\n", *table(report)]) + "\n"
    print(section)
    if options.write and code == 0:
        RESULTS.write_text(replaced(RESULTS.read_text(), section))
    return code


def files() -> list[str]:
    """Those of the tests, Ray's last: a process was seen to end without a word a minute after its cluster's head."""
    found = Path("tests/faults").glob("test_*.py")
    return [str(path) for path in sorted(found, key=lambda path: (path.stem == "test_cluster", path.name))]


def table(report: Path) -> Iterator[str]:
    """Rows of all figures in pytest's report, in its order; a test that was left out is named with the reason."""
    yield "| fault | figure | value |"
    yield "| --- | --- | ---: |"
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.attrib["name"].removeprefix("test_").replace("_", " ")
        if (skipped := case.find("skipped")) is not None:
            yield f"| {name} | not run | {skipped.attrib.get('message', '')} |"
        for kept in case.iter("property"):
            yield f"| {name} | {kept.attrib['name'].replace('_', ' ')} | {kept.attrib['value']} |"


def replaced(text: str, section: str) -> str:
    """Put ``section`` in place of the one of the same title, or at the end."""
    title = section.partition("\n")[0]
    before, found, rest = text.partition(f"{title}\n")
    if not found:
        return f"{text.rstrip()}\n\n{section}"
    _, following, after = rest.partition("\n## ")
    return before + section + (f"\n## {after}" if following else "")


if __name__ == "__main__":
    sys.exit(main())
