"""What evaluations become on the pages, and that the pages show the evaluations that are kept."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean, median

import pytest

from train.publish import KEPT, ROOT, filled, kept, pages, refilled
from train.tables import Evaluation, films, films_table, gains, rows, scores_table


def case(kind: str, name: str, bicubic: float, adain: float) -> dict[str, object]:
    def scores(psnr: float) -> dict[str, float]:
        return {"psnr": psnr, "ssim": psnr / 100, "temporal": 1.0}

    return {"kind": kind, "name": name, "scores": {"bicubic": scores(bicubic), "adain": scores(adain)}}


FOUR: Evaluation = {
    "scale": 4,
    "precision": "fp32",
    "cases": [case("stills", "a", 20, 21), case("stills", "b", 30, 33), case("clips", "c", 25, 24)],
}
TWO: Evaluation = {**FOUR, "scale": 2, "cases": [case("stills", "a", 40, 40.5), case("clips", "c", 35, 35)]}


def test_scores_are_means_by_kind_and_gains_those_of_the_cases() -> None:
    assert scores_table([TWO, FOUR]).splitlines()[2:] == [
        "| stills | 4 | 2 | bicubic | 25.00 |  | 0.2500 | 1.000 |",
        "| stills | 4 | 2 | adain | 27.00 | +2.00 (+1.00 .. +3.00) | 0.2700 | 1.000 |",
        "| stills | 2 | 1 | bicubic | 40.00 |  | 0.4000 | 1.000 |",
        "| stills | 2 | 1 | adain | 40.50 | +0.50 (+0.50 .. +0.50) | 0.4050 | 1.000 |",
        "| clips | 4 | 1 | bicubic | 25.00 |  | 0.2500 | 1.000 |",
        "| clips | 4 | 1 | adain | 24.00 | -1.00 (-1.00 .. -1.00) | 0.2400 | 1.000 |",
        "| clips | 2 | 1 | bicubic | 35.00 |  | 0.3500 | 1.000 |",
        "| clips | 2 | 1 | adain | 35.00 | +0.00 (+0.00 .. +0.00) | 0.3500 | 1.000 |",
    ]
    assert films_table([FOUR, TWO]).splitlines()[2:] == ["| c | +0.00 | -1.00 |", "| median | +0.00 | -1.00 |"]


def test_readers_see_bicubic_beside_ours() -> None:
    score = {"psnr": 1.0, "ssim": 0.5, "temporal": 2.0}
    cells = gains([FOUR], {"means": [score, {**score, "psnr": 3.0}]})
    assert cells[0] == ["4", "1.00", "3.00", "0.5000", "0.5000", "2.00", "2.00"]
    assert cells[1] == ["4", "25.00", "27.00", "0.2500", "0.2700", "1.00", "1.00"]
    page = "<!-- train.publish: one -->\n| Wort | a |\n| --- | ---: |\n| eins | 1 |\n\nb\n"
    assert refilled(page, "one", [["7"]]) == page.replace("| 1 |", "| 7 |")
    with pytest.raises(ValueError, match="has 1 rows: it needs 2"):
        refilled(page, "one", [["7"], ["8"]])


def test_a_table_is_replaced_and_nothing_else() -> None:
    page = "a\n\n<!-- train.publish: one -->\n| old |\n| --- |\n\nb | c\n"
    once = filled(page, "one", "| new |\n")
    assert once == "a\n\n<!-- train.publish: one -->\n| new |\n\nb | c\n"
    assert filled(once, "one", "| new |\n") == once
    with pytest.raises(ValueError, match=r"has no line .* two"):
        filled(page, "two", "")


def test_pages_show_the_evaluations_that_are_kept() -> None:
    evaluations, demo = kept()
    assert [one["scale"] for one in evaluations] == [2, 3, 4]
    for page, text in pages(ROOT, evaluations, demo):
        assert page.read_text() == text, f"{page.name}: python -m train.publish"
    card = ROOT / "engine" / "flashvsr_engine" / "weights" / "builtin" / "MODEL_CARD.md"
    assert scores_table(evaluations) in card.read_text(), f"python -m train.card --evaluation {KEPT.name}/..."


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_sentence_about_the_weights_has_the_same_figures(name: str) -> None:
    evaluations, _ = kept()
    gains = {row.kind: row.gains for row in rows(evaluations[-1]) if row.method == "adain"}
    films_4x = films(evaluations, 4).values()
    figures = [fmean(gains["stills"]), fmean(gains["panning"]), median(films_4x), min(films_4x), max(films_4x)]
    page = Path(ROOT / name).read_text()
    sentence = page[page.index("`builtin`", page.index("\n## W" if name == "README.md" else "\n## 权重")) :]
    assert re.findall(r"[+-]\d+\.\d\d", sentence)[:5] == [f"{figure:+.2f}" for figure in figures]
