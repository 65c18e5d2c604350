"""Evaluations as Markdown tables. An evaluation is what train.evaluate writes: scale, precision and scored cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

Evaluation = dict[str, Any]

BICUBIC = "bicubic"
SERVED = "adain"
"""The method that users get: colour correction as it is by default."""
KINDS = ("stills", "panning", "clips")


@dataclass(frozen=True, slots=True)
class Row:
    """Means over the cases of a kind. gains: of PSNR over bicubic interpolation, in dB, case by case."""

    kind: str
    scale: int
    method: str
    psnr: float
    ssim: float
    temporal: float
    gains: tuple[float, ...]


def rows(evaluation: Evaluation) -> Iterator[Row]:
    """A row for each kind and method."""
    for kind in dict.fromkeys(case["kind"] for case in evaluation["cases"]):
        scores = [case["scores"] for case in evaluation["cases"] if case["kind"] == kind]
        for method in scores[0]:
            means = {name: fmean(case[method][name] or 0.0 for case in scores) for name in ("psnr", "ssim", "temporal")}
            gains = tuple(case[method]["psnr"] - case[BICUBIC]["psnr"] for case in scores)
            yield Row(kind, evaluation["scale"], method, **means, gains=gains)


def scores_table(evaluations: Sequence[Evaluation]) -> str:
    """A row for each kind, scale and method."""
    lines = [
        "| set | scale | cases | method | Y-PSNR, dB | over bicubic, dB (least .. largest) | Y-SSIM | temporal error |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in _ordered(evaluations):
        gain = f"{fmean(row.gains):+.2f} ({min(row.gains):+.2f} .. {max(row.gains):+.2f})"
        cells = (row.kind, row.scale, len(row.gains), row.method, f"{row.psnr:.2f}", "" if _bicubic(row) else gain)
        lines.append(f"| {' | '.join(map(str, cells))} | {row.ssim:.4f} | {row.temporal:.3f} |")
    return "\n".join(lines) + "\n"


def films_table(evaluations: Sequence[Evaluation]) -> str:
    """What is gained over bicubic interpolation on each film, a column for each scale."""
    scales = sorted(evaluation["scale"] for evaluation in evaluations)
    found = [films(evaluations, scale) for scale in scales]
    told = {name: [gains[name] for gains in found] for name in found[0]}
    told["median"] = [median(gains.values()) for gains in found]
    lines = ["| film |" + "".join(f" {scale}x, dB |" for scale in scales), "| --- |" + " ---: |" * len(scales)]
    lines += [f"| {name} |" + "".join(f" {gain:+.2f} |" for gain in values) for name, values in told.items()]
    return "\n".join(lines) + "\n"


def films(evaluations: Sequence[Evaluation], scale: int) -> dict[str, float]:
    """Each film's gain over bicubic interpolation at a scale, in dB."""
    (evaluation,) = (one for one in evaluations if one["scale"] == scale)
    found = (case for case in evaluation["cases"] if case["kind"] == "clips")
    return {case["name"]: case["scores"][SERVED]["psnr"] - case["scores"][BICUBIC]["psnr"] for case in found}


def gains(evaluations: Sequence[Evaluation], demo: Evaluation) -> list[list[str]]:
    """Cells for readers: scale, and bicubic interpolation beside ours; of the demo, then of each kind and scale.

    demo: JSON of `flashvsr compare`, of its input and its output.
    """
    found = {(row.kind, row.scale, row.method): row for row in _ordered(evaluations)}
    pairs = [(4, demo["means"])]
    for kind, scale in dict.fromkeys((kind, scale) for kind, scale, _ in found):
        pairs.append((scale, [asdict(found[kind, scale, method]) for method in (BICUBIC, SERVED)]))
    return [
        [str(scale), *(f"{scores[name]:{digits}}" for name, digits in _SHOWN.items() for scores in pair)]
        for scale, pair in pairs
    ]


_SHOWN = {"psnr": ".2f", "ssim": ".4f", "temporal": ".2f"}


def _ordered(evaluations: Sequence[Evaluation]) -> list[Row]:
    """By kind, then by scale, the largest first."""
    every = [row for one in sorted(evaluations, key=lambda one: -one["scale"]) for row in rows(one)]
    return sorted(every, key=lambda row: KINDS.index(row.kind))


def _bicubic(row: Row) -> bool:
    return row.method == BICUBIC
