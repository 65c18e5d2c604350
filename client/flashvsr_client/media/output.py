"""The output file: it appears under its name when it is whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flashvsr_client.errors import OutputError

MUXERS: Final = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Containers that keep H.264, arbitrary frame times and the usual audio, by the ending of the file's name."""


def check_output(target: Path, source: Path, *, overwrite: bool) -> None:
    """Raise :class:`OutputError` for a target that cannot or must not be written."""
    if target.suffix.lower() not in MUXERS:
        raise OutputError(f"{target}: the output's name must end in {', '.join(MUXERS)}")
    try:
        reason = _refusal(target, source, overwrite=overwrite)
    except OSError as error:
        reason = f"{target} cannot be reached ({error.strerror}): choose another place"
    if reason is not None:
        raise OutputError(reason)


def _refusal(target: Path, source: Path, *, overwrite: bool) -> str | None:
    if not target.parent.is_dir():
        return f"{target.parent} is not a folder: make it first, or choose another place"
    if not os.access(target.parent, os.W_OK | os.X_OK):
        return f"{target.parent} cannot be written to: check its permissions, or choose another place"
    if not target.exists():
        return None
    if target.samefile(source):
        return f"{target} is the input, which is never overwritten: choose another name"
    if not target.is_file():
        return f"{target} is not a file: choose another name"
    return None if overwrite else f"{target} exists: choose another name, or give -y to overwrite it"


@contextmanager
def whole_or_nothing(target: Path) -> Iterator[Path]:
    """Give the path to write to, beside ``target``; it takes the target's name when the block ends well.

    On an error it is removed and an older file under the target's name stays. Raises :class:`OutputError`.
    """
    part = target.with_name(target.name + ".part")
    try:
        yield part
        try:
            _sync(part)
            part.replace(target)
            _sync(target.parent)
        except OSError as error:
            raise OutputError(f"cannot finish {target}: {error.strerror}: choose another place") from error
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
