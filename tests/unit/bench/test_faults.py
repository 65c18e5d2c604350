"""How figures of faults come into the file of results."""

from __future__ import annotations

from pathlib import Path

from bench.faults import replaced, table

REPORT = """<testsuites><testsuite><testcase classname="t" name="test_java_killed" time="9"><properties>
<property name="recovery_s" value="4.20"/></properties></testcase>
<testcase classname="t" name="test_full_disk"><skipped message="no right to mount"/></testcase>
</testsuite></testsuites>"""


def test_figures_and_reasons_become_rows(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    assert list(table(report))[2:] == [
        "| java killed | recovery s | 4.20 |",
        "| full disk | not run | no right to mount |",
    ]


def test_a_section_takes_the_place_of_the_old_one_and_of_nothing_else() -> None:
    text = "# All\n\n## A\n\none\n\n## Faults\n\nold\n\n## B\n\ntwo\n"
    section = "## Faults\n\nnew\n"
    once = replaced(text, section)
    assert once == "# All\n\n## A\n\none\n\n## Faults\n\nnew\n\n## B\n\ntwo\n"
    assert replaced(once, section) == once
    assert replaced("# All\n\nrest\n", section) == "# All\n\nrest\n\n## Faults\n\nnew\n"
    assert replaced(replaced("# All\n", section), section) == "# All\n\n## Faults\n\nnew\n"
