"""The result beside its input: bicubic interpolation on the left, the result on the right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import Final

import numpy as np

from flashvsr_client.chunks import Frame
from flashvsr_client.config import Encoding, Reading
from flashvsr_client.errors import InputError, OutputError
from flashvsr_client.media.decode import Moment, decode
from flashvsr_client.media.encode import writing
from flashvsr_client.media.enlarge import enlarged
from flashvsr_client.media.output import NOWHERE, check_output, is_pictures
from flashvsr_client.media.pictures import output_colors
from flashvsr_client.media.probe import VideoInfo, probe
from flashvsr_client.media.stdin import STANDARD

_ENDINGS: Final = (".png", ".mp4", ".m4v", ".mov", ".mkv")
_LINE: Final = 2  # pixels of white between the two


def check_comparison(comparison: Path, source: Path, target: Path, *, overwrite: bool) -> None:
    """Raise :class:`OutputError` for a comparison that cannot be made, before the job."""
    if STANDARD in (source, target) or target == NOWHERE:
        raise OutputError("--compare reads input and output again: give files or folders, not -, and no --benchmark")
    if comparison.suffix.lower() not in _ENDINGS or is_pictures(comparison):
        raise OutputError(f"--compare {comparison}: give a name that ends in {', '.join(_ENDINGS)}")
    if comparison.absolute() == target.absolute():
        raise OutputError(f"--compare {comparison} is the output: choose another name")
    check_output(comparison, source, overwrite=overwrite)


def compare(info: VideoInfo, result: Path, comparison: Path, *, overwrite: bool = False) -> None:
    """Write ``comparison`` from the finished file or folder ``result`` and its input.

    A PNG shows the frame in the middle, any other ending all frames, with the input's times and without sound.
    Raises :class:`OutputError`, and :class:`InputError` when the two have not the same frames.
    """
    made = probe(result, Reading(fps=info.rate, hdr="keep"))
    depth = 16 if output_colors(info).is_hdr else 8
    shown = replace(info, light=None, depth=depth)
    encoding = Encoding(audio=False, subtitles=False, attachments=False, provenance=False, overwrite=overwrite)
    width = 2 * made.width + _LINE
    if comparison.suffix.lower() != ".png":
        with writing(comparison, shown, width, made.height, encoding) as writer:
            for picture, moment in _pairs(info, made, depth):
                writer.write(picture, moment)
        return
    middle = (made.frames or 1) // 2
    with writing(comparison, replace(shown, frames=1), width, made.height, encoding) as writer:
        for picture, moment in islice(_pairs(info, made, depth, middle), 1):
            writer.write(picture, moment)


def _pairs(info: VideoInfo, made: VideoInfo, depth: int, first: int = 0) -> Iterator[tuple[Frame, Moment]]:
    small, large = decode(info, first, depth=depth), decode(made, first, depth=depth)
    with closing(small), closing(large):
        for low, high in zip_longest(small, large):
            if low is None or high is None:
                raise InputError(f"{made.path} has not the frames of {info.path}: compare a result with its own input")
            yield _beside(low.picture, high.picture), low.moment


def _beside(low: Frame, high: Frame) -> Frame:
    """Enlarge ``low`` to the size of ``high`` and put the two side by side."""
    height, width = high.shape[:2]
    line = np.full((height, _LINE, 3), np.iinfo(high.dtype).max, high.dtype)
    return np.concatenate([enlarged(low, width, height), line, high], axis=1)
