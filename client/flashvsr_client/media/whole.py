"""An output appears under its name when it is whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flashvsr_client.errors import OutputError


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


@contextmanager
def whole_folder_or_nothing(folder: Path) -> Iterator[Path]:
    """Give the folder to write to, as :func:`whole_or_nothing` does for a file."""
    part, older = (folder.with_name(folder.name + suffix) for suffix in (".part", ".older"))
    try:
        try:
            shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
            part.mkdir()
        except OSError as error:
            raise OutputError(f"cannot make {part} ({error.strerror}): choose another place") from error
        yield part
        try:
            if folder.exists():
                folder.replace(older)
            part.replace(folder)
            _sync(folder.parent)
        except OSError as error:
            raise OutputError(f"cannot finish {folder}: {error.strerror}: choose another place") from error
        shutil.rmtree(older, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
