"""What an output is by its name, and whether it may be written."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from flashvsr_client.errors import OutputError
from flashvsr_client.media.stdin import STANDARD

MUXERS: Final = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
"""Containers that keep arbitrary frame times and audio, by the ending of the file's name."""
STREAMS: Final = {".y4m": "yuv4mpegpipe", ".yuv": "rawvideo", ".rgb": "rawvideo"}
"""Frames alone, one after the other, at a steady rate."""
NOWHERE: Final = Path(os.devnull)
"""Frames are encoded as they would be, and thrown away: for measuring."""
PATTERN: Final = "%06d.png"
"""Names of a folder's pictures, which are numbered from 1."""
_NUMBER: Final = re.compile(r"%0?\d*d")


def muxer_of(target: Path) -> str:
    """Name the container of a file by its ending."""
    suffix = target.suffix.lower()
    if target == NOWHERE:
        return "null"
    return MUXERS.get(suffix) or STREAMS[suffix]


def has_other_streams(target: Path) -> bool:
    """Whether a target holds more than pictures, such as sound."""
    return target.suffix.lower() in MUXERS and not is_pictures(target)


def is_pictures(target: Path) -> bool:
    """Whether a target is a folder of pictures: a pattern such as frames/%06d.png, or a name without an ending."""
    return target not in (STANDARD, NOWHERE) and (
        bool(_NUMBER.search(target.name)) or not target.suffix or target.is_dir()
    )


def is_picture(target: Path) -> bool:
    """Whether a target is one picture."""
    return target.suffix.lower() == ".png" and not is_pictures(target)


def folder_and_pattern(target: Path) -> tuple[Path, str]:
    """Split a target of pictures. Raises :class:`OutputError` for a pattern that is not of PNG files."""
    if not _NUMBER.search(target.name):
        return target, PATTERN
    if target.suffix.lower() != ".png" or len(_NUMBER.findall(target.name)) != 1:
        raise OutputError(f"{target}: pictures are written as PNG; name them by one number, such as {PATTERN}")
    return target.parent, target.name


def check_output(target: Path, source: Path, *, overwrite: bool) -> None:
    """Raise :class:`OutputError` for a target that cannot or must not be written."""
    if target in (STANDARD, NOWHERE):
        return
    known = [*MUXERS, *STREAMS, ".png"]
    if not is_pictures(target) and target.suffix.lower() not in known:
        raise OutputError(
            f"{target}: the output's name must end in {', '.join(known)}; a name without an ending is a folder of PNG"
        )
    named = folder_and_pattern(target) if is_pictures(target) else None
    try:
        if named is not None:
            reason = _folder_refusal(*named, source, overwrite=overwrite)
        else:
            reason = _refusal(target, source, overwrite=overwrite)
    except OSError as error:
        reason = f"{target} cannot be reached ({error.strerror}): choose another place"
    if reason is not None:
        raise OutputError(reason)


def _refusal(target: Path, source: Path, *, overwrite: bool) -> str | None:
    if (reason := _place_refusal(target)) is not None:
        return reason
    if not target.exists():
        return None
    if source != STANDARD and target.samefile(source):
        return f"{target} is the input, which is never overwritten: choose another name"
    if not target.is_file():
        return f"{target} is not a file: choose another name"
    return None if overwrite else f"{target} exists: choose another name, or give -y to overwrite it"


def _folder_refusal(folder: Path, pattern: str, source: Path, *, overwrite: bool) -> str | None:
    if (reason := _place_refusal(folder)) is not None:
        return reason
    if not folder.exists():
        return None
    if not folder.is_dir():
        return f"{folder} is not a folder: choose another name"
    if source != STANDARD and source.exists() and folder.samefile(source):
        return f"{folder} is the input, which is never overwritten: choose another name"
    present = [path.name for path in folder.iterdir()]
    if not present:
        return None
    ours = re.compile(re.sub(r"%0?\d*d", r"\\d+", re.escape(pattern).replace(r"\%", "%")))
    if strange := sorted(name for name in present if not ours.fullmatch(name)):
        return f"{folder} holds other files too, such as {strange[0]}: choose an empty or a new folder"
    return None if overwrite else f"{folder} has pictures in it: choose another folder, or give -y to replace them"


def _place_refusal(target: Path) -> str | None:
    parent = target.absolute().parent
    if not parent.is_dir():
        return f"{target.parent} is not a folder: make it first, or choose another place"
    if not os.access(parent, os.W_OK | os.X_OK):
        return f"{target.parent} cannot be written to: check its permissions, or choose another place"
    return None
