"""The photographs: where each comes from, and which are kept apart for evaluation."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

SOURCES = "SOURCES.csv"
FOLDER = "train/"


@dataclass(frozen=True, slots=True)
class Photograph:
    """One file. source_id: the photograph it shows, shared by a whole picture and its detail crop."""

    name: str
    sha256: str
    source_id: str
    author: str
    licence: str
    repo: str
    path: str


@dataclass(frozen=True, slots=True)
class Split:
    """training and held_out share no source."""

    training: tuple[Photograph, ...]
    held_out: tuple[Photograph, ...]


def read_sources(folder: Path) -> list[Photograph]:
    """The photographs that SOURCES.csv, in the folder or the one above, lists. ValueError where there is none."""
    table = next((path for path in (folder / SOURCES, folder.parent / SOURCES) if path.is_file()), None)
    if table is None:
        raise ValueError(
            f"{folder} holds no {SOURCES}, nor does the folder above; it says whose photographs these are."
        )
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith(FOLDER)]
    fields = ("sha256", "source_id", "author", "licence", "repo", "path")
    return [Photograph(row["file"].removeprefix(FOLDER), *(row[name] for name in fields)) for row in rows]


def split(photographs: list[Photograph], held_out: int) -> Split:
    """Keep `held_out` sources apart: those whose source_id hashes lowest, so that additions shuffle nothing."""
    sources = sorted({p.source_id for p in photographs}, key=lambda s: hashlib.sha256(s.encode()).hexdigest())
    if not 0 <= held_out < len(sources):
        raise ValueError(f"held_out is {held_out}; allowed: 0 to {len(sources) - 1}, the number of sources less one.")
    apart = set(sources[:held_out])
    return Split(
        training=tuple(p for p in photographs if p.source_id not in apart),
        held_out=tuple(p for p in photographs if p.source_id in apart),
    )
