"""A comparison in letters: for people, for spreadsheets, for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

from flashvsr_client.compare.measure import Comparison, Scores
from flashvsr_client.compare.vmaf import harmonic_mean
from flashvsr_client.media.whole import whole_or_nothing


def summary(comparison: Comparison) -> str:
    """A line for each figure, with a column for each film and, of two, what the second gains."""
    names = [Path(subject).name for subject in comparison.subjects]
    lines = [["", *names, *(["gain"] if len(names) == 2 else [])]]
    for metric, title in comparison.metrics.items():
        values = [getattr(mean, metric) for mean in comparison.means]
        if None not in values:
            lines.append([title, *_cells(values, 4 if metric == "ssim" else 2)])
    for name, values in _pooled(comparison).items():
        lines.append([f"VMAF, {name.replace('_', ' ')}", *_cells(values, 2)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    table = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    width, height = comparison.size
    about = f"{len(comparison.rows)} frames of {width}x{height} against {comparison.against}"
    return "\n".join([*table, about, *comparison.notes])


def as_json(comparison: Comparison) -> str:
    """The same for programs, with the scores of every frame."""
    names, pooled = comparison.metrics, _pooled(comparison)
    means = [
        _figures(mean, names) | {f"vmaf_{name}": values[place] for name, values in pooled.items()}
        for place, mean in enumerate(comparison.means)
    ]
    return json.dumps(
        {
            "subjects": comparison.subjects,
            "against": comparison.against,
            "size": comparison.size,
            "notes": comparison.notes,
            "means": means,
            "frames": [[_figures(scores, names) for scores in row] for row in comparison.rows],
        }
    )


def write_csv(comparison: Comparison, target: Path) -> None:
    """A row for each frame. Raises :class:`OutputError`."""
    letters = "AB" if len(comparison.subjects) == 2 else "B"
    with whole_or_nothing(target) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", *(f"{metric}_{letter}" for letter in letters for metric in comparison.metrics)])
        for number, row in enumerate(comparison.rows):
            values = [getattr(scores, metric) for scores in row for metric in comparison.metrics]
            writer.writerow([number, *("" if value is None else f"{value:.6g}" for value in values)])


def _pooled(comparison: Comparison) -> dict[str, list[float]]:
    """What else than the mean is told of VMAF, of each film; nothing where it was not measured."""
    if "vmaf" not in comparison.metrics:
        return {}
    films = [[one.vmaf for one in film if one.vmaf is not None] for film in zip(*comparison.rows, strict=True)]
    return {"harmonic_mean": [harmonic_mean(film) for film in films], "least": [min(film) for film in films]}


def _figures(scores: Scores, names: Iterable[str]) -> dict[str, float | None]:
    return {name: getattr(scores, name) for name in names}


def _cells(values: list[float], digits: int) -> list[str]:
    cells = [f"{value:.{digits}f}" for value in values]
    return [*cells, f"{values[1] - values[0]:+.{digits}f}"] if len(values) == 2 else cells
