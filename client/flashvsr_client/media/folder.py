"""A folder of pictures as a source: one frame each, in the order that people read numbers in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import av

from flashvsr_client.errors import InputError

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Endings of the pictures' names."""


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """List the pictures of a folder in natural order: 2 before 10.

    Raises :class:`InputError` for a folder that has none, or that cannot be read.
    """
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not _hidden(path)]
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}): check its permissions") from error
    if not found:
        raise InputError(f"{folder} has no pictures ({', '.join(SUFFIXES)}): give a folder of frames, or a video file")
    return tuple(sorted(found, key=lambda path: _natural(path.name)))


def is_frame_folder(path: Path) -> bool:
    """Whether a path is a folder with pictures in it, and so one input, not a folder of films."""
    return path.is_dir() and any(one.suffix.lower() in SUFFIXES and not _hidden(one) for one in path.iterdir())


def decoded(pictures: Sequence[Path], first: int = 0) -> Iterator[av.VideoFrame]:
    """Decode the pictures from number ``first`` on; a frame's time is its number. Raises :class:`InputError`."""
    for number, path in enumerate(pictures[first:], first):
        frame = picture(path)
        frame.pts = number
        yield frame


def picture(path: Path) -> av.VideoFrame:
    """Decode the one picture of a file. Raises :class:`InputError`."""
    try:
        with av.open(f"file:{path.resolve()}") as container:
            frame = next(container.decode(video=0), None)
    except (av.error.FFmpegError, IndexError) as error:
        raise InputError(f"{path} cannot be read as a picture ({error}): it is damaged; make it again") from error
    if frame is None:
        raise InputError(f"{path} has no picture in it: make it again")
    return frame


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort numbers by their value and the rest as text."""
    return [(int(part), part) if part.isdecimal() else (-1, part.lower()) for part in re.split(r"(\d+)", name) if part]


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")
