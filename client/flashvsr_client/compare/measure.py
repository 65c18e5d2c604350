"""All frames of some films measured, in one pass and in memory that does not grow with their length."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Final

from flashvsr_client.chunks import Frame
from flashvsr_client.compare import metrics, pairs
from flashvsr_client.compare.vmaf import Gauge

METRICS: Final = {"psnr": "Y-PSNR, dB", "ssim": "Y-SSIM", "temporal": "temporal error", "vmaf": "VMAF"}
"""Attributes of scores, and how they are called."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one frame, or the means of many.

    temporal: None for a first frame, which has none before it. vmaf: None where it was not measured.
    """

    psnr: float
    ssim: float
    temporal: float | None
    vmaf: float | None = None


Row = tuple[Scores, ...]
"""Of one frame of each subject."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was measured. rows: of each frame, the scores of each subject."""

    subjects: tuple[str, ...]
    against: str
    size: tuple[int, int]
    notes: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def metrics(self) -> dict[str, str]:
        """Those of METRICS that were measured."""
        measured = self.rows[0][0].vmaf is not None
        return {name: title for name, title in METRICS.items() if name != "vmaf" or measured}

    @property
    def means(self) -> Row:
        """Of each subject: the mean of its frames' scores."""
        return means(self.rows)


class Meter:
    """Scores the frames of one film against a reference's, one after the other."""

    def __init__(self) -> None:
        self._before: metrics.Luma | None = None

    def score(self, frame: Frame, reference: metrics.Luma) -> Scores:
        """Score the next frame, uint8 RGB, against the luma of the reference's."""
        shown = metrics.luma(frame)
        error, before = shown - reference, self._before
        self._before = error
        temporal = None if before is None else metrics.temporal_error(error, before)
        return Scores(metrics.psnr(shown, reference), metrics.ssim(shown, reference), temporal)


def compare(a: Path, b: Path, reference: Path | None = None, ffmpeg: str | None = None) -> Comparison:
    """Measure A and B against the reference; without one B, shrunk to A's size where it is larger, against A.

    ``ffmpeg``: one that has libvmaf, where VMAF is to be measured too. Raises :class:`InputError` for films that cannot
    be read, or whose sizes or numbers of frames do not agree, and for what FFmpeg fails at.
    """
    films = pairs.lined_up(a, b, reference)
    against = 0 if reference is None else 2
    subjects = (1,) if reference is None else (0, 1)
    size = films[0].width, films[0].height
    with closing(pairs.frames(films)) as together:
        chosen = ((frames[against], [frames[subject] for subject in subjects]) for frames in together)
        rows = scored(chosen) if ffmpeg is None else _gauged(chosen, Gauge(ffmpeg, size, len(subjects)))
        return Comparison(
            subjects=tuple(str(films[place].info.path) for place in subjects),
            against=str(films[against].info.path),
            size=size,
            notes=tuple(note for film in films if (note := film.note) is not None),
            rows=tuple(rows),
        )


def scored(frames: Iterable[tuple[Frame, list[Frame]]]) -> Iterator[Row]:
    """Give the scores of each reference's frame's rivals."""
    meters: list[Meter] = []
    for reference, rivals in frames:
        meters = meters or [Meter() for _ in rivals]
        truth = metrics.luma(reference)
        yield tuple(meter.score(rival, truth) for meter, rival in zip(meters, rivals, strict=True))


def means(rows: Sequence[Row]) -> Row:
    """Give each rival's means over all frames, of which there is one at least."""
    return tuple(_mean([row[place] for row in rows]) for place in range(len(rows[0])))


def _gauged(frames: Iterable[tuple[Frame, list[Frame]]], gauge: Gauge) -> Iterator[Row]:
    """Score with VMAF, which is known when all frames are."""

    def seen() -> Generator[tuple[Frame, list[Frame]], None, None]:
        for reference, rivals in frames:
            gauge.add(reference, rivals)
            yield reference, rivals

    with gauge:
        rows = list(scored(seen()))
        for row, scores in zip(rows, zip(*gauge.finish(), strict=True), strict=True):
            yield tuple(replace(one, vmaf=score) for one, score in zip(row, scores, strict=True))


def _mean(scores: list[Scores]) -> Scores:
    def mean(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return fmean(known) if known else None

    return Scores(
        fmean(one.psnr for one in scores),
        fmean(one.ssim for one in scores),
        mean(one.temporal for one in scores),
        mean(one.vmaf for one in scores),
    )
