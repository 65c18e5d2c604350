"""Files that appear under their name when they are whole, and digests of files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flashvsr_engine.errors import StorageError


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; it takes the place of `path` when the block ends without an error.

    StorageError, and `path` as it was before, when the disk is full or the folder cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        settle(part, path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {reason(error)}.") from error
    finally:
        part.unlink(missing_ok=True)


def settle(part: Path, path: Path) -> None:
    """Put a finished file under its name: on the disk first, then in one step. OSError as the system says."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reason(error: OSError) -> str:
    """What the system says, without its number."""
    return error.strerror or str(error)
