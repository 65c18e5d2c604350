from __future__ import annotations

from pathlib import Path

import pytest

from train.card import credits, licences
from train.sources import Photograph, read_sources, split


def photographs(sources: int) -> list[Photograph]:
    whole = [Photograph(f"{i}.jpg", "", str(i), f"A{i}", "CC0 1.0", "r/r", f"p/{i}.jpg") for i in range(sources)]
    details = [Photograph(f"{i}_d.jpg", "", str(i), f"A{i}", "CC-BY-4.0", "r/r", f"p/{i}.jpg") for i in range(sources)]
    return whole + details


def test_split_keeps_both_files_of_a_source_on_one_side() -> None:
    parts = split(photographs(30), 5)
    apart = {p.source_id for p in parts.held_out}
    assert len(apart) == 5
    assert len(parts.held_out) == 10
    assert apart.isdisjoint(p.source_id for p in parts.training)
    assert len(parts.training) + len(parts.held_out) == 60


def test_split_depends_neither_on_order_nor_on_the_run() -> None:
    given = photographs(30)
    assert set(split(given, 5).held_out) == set(split(given[::-1], 5).held_out)
    assert {p.source_id for p in split(given, 5).held_out} == {"8", "9", "13", "17", "29"}


def test_split_of_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="held_out is 30; allowed: 0 to 29"):
        split(photographs(30), 30)


def test_sources_are_read_from_the_folder_above(tmp_path: Path) -> None:
    head = "file,width,height,frames,sha256,repo,path,author,licence,stated_in,done,source_id"
    rows = ["clips/a.mp4,1,1,9,00,r/r,a.mp4,A,MIT,L,all,", "train/b_d.jpg,1,1,1,11,r/q,x/b.png,B,CC0,L,crop,b"]
    (tmp_path / "SOURCES.csv").write_text("\n".join([head, *rows]))
    (tmp_path / "train").mkdir()
    assert read_sources(tmp_path / "train") == [Photograph("b_d.jpg", "11", "b", "B", "CC0", "r/q", "x/b.png")]
    with pytest.raises(ValueError, match=r"holds no SOURCES\.csv"):
        read_sources(tmp_path / "train" / "none")


def test_card_counts_licences_and_credits_each_source_once() -> None:
    given = tuple(photographs(2))
    assert licences(given).splitlines()[2:] == ["| CC-BY-4.0 | 2 |", "| CC0-1.0 | 2 |"]
    assert credits(given).count("A1") == 1
