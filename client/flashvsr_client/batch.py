"""Many inputs: which files, what each becomes, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flashvsr_client.edges import disk_errors
from flashvsr_client.errors import ClientError, InputError, JobInterruptedError, UsageError
from flashvsr_client.media.output import MUXERS
from flashvsr_client.report import Report

VIDEOS: Final = tuple(
    ".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .vob .webm .wmv".split()  # noqa: SIM905
)
"""Endings of the files that are taken from a folder; a file that is named itself may have any."""
_FIELDS: Final = ("stem", "name", "scale")


@dataclass(frozen=True, slots=True)
class Item:
    """One input and its output."""

    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one input ended: with a report, with an error, or with its output there already."""

    item: Item
    report: Report | None = None
    error: ClientError | None = None

    def __str__(self) -> str:
        if self.error is not None:
            return f"failed {self.item.source}: {self.error}"
        return f"done   {self.report or f'{self.item.target}: it was there already'}"


def is_pattern(output: str) -> bool:
    """Whether an output's name is to be filled in for each input."""
    return "{" in output


def items(sources: Sequence[Path], output: str, scale: int) -> list[Item]:
    """Say what each video becomes; a folder stands for the videos in it, in natural order.

    ``output`` is a folder, or a pattern such as "{stem}_{scale}x.mp4". Raises :class:`InputError` for a folder without
    videos, :class:`UsageError` for a pattern that is wrong or gives two inputs one output.
    """
    if not is_pattern(output) and Path(output).suffix.lower() in MUXERS and not Path(output).is_dir():
        several = f"{len(sources)} inputs" if len(sources) > 1 else f"{sources[0]}, a folder,"
        raise UsageError(
            f"output {output!r} is one file for {several}: name a folder, or a pattern such as {{stem}}_{{scale}}x.mp4"
        )
    found = [Item(source, _target(source, output, scale)) for given in sources for source in _videos(given)]
    places: dict[Path, Path] = {}
    for item in found:
        if (other := places.setdefault(item.target, item.source)) != item.source:
            raise UsageError(
                f"{other} and {item.source} would both become {item.target}: give a pattern that tells them apart"
            )
    return found


def run(
    batch: Iterable[Item],
    upscale: Callable[[Item], Report],
    *,
    resume: bool,
    present: Callable[[Path], bool] = Path.exists,
) -> list[Outcome]:
    """Do one after the other; one that fails does not keep the rest from being done, an interruption does.

    With ``resume`` an output that is ``present`` already is not made again.
    """
    outcomes: list[Outcome] = []
    for item in batch:
        outcomes.append(outcome_of(item, upscale, resume=resume, present=present))
        if isinstance(outcomes[-1].error, JobInterruptedError):
            break
    return outcomes


def outcome_of(
    item: Item, upscale: Callable[[Item], Report], *, resume: bool, present: Callable[[Path], bool]
) -> Outcome:
    """Do one of them; see :func:`run`."""
    try:
        if resume and present(item.target):
            return Outcome(item)
        with disk_errors(item.target.parent):
            item.target.parent.mkdir(parents=True, exist_ok=True)
        return Outcome(item, report=upscale(item))
    except ClientError as error:
        return Outcome(item, error=error)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 where all went well, 130 where it was interrupted, else the code of the first failure."""
    codes = [outcome.error.exit_code for outcome in outcomes if outcome.error is not None]
    return JobInterruptedError.exit_code if JobInterruptedError.exit_code in codes else next(iter(codes), 0)


def _videos(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    found = [path for path in source.iterdir() if path.suffix.lower() in VIDEOS and not path.name.startswith(".")]
    if not found:
        raise InputError(f"{source} has no videos in it ({', '.join(VIDEOS)}): give another folder, or files")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Numbers in names count as numbers: clip2 comes before clip10."""
    return [(int(part), "") if part.isdigit() else (0, part.lower()) for part in re.split(r"(\d+)", path.name)]


def _target(source: Path, output: str, scale: int) -> Path:
    if not is_pattern(output):
        suffix = source.suffix if source.suffix.lower() in MUXERS else ".mp4"
        return Path(output) / f"{source.stem}{suffix}"
    try:
        return Path(output.format(stem=source.stem, name=source.name, scale=scale))
    except (KeyError, IndexError, ValueError) as error:
        raise UsageError(f"output {output!r}: a pattern may have {{{'}, {'.join(_FIELDS)}}} and no other") from error
