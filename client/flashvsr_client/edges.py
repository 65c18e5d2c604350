"""The frames of an overlap, kept as they are until both of its segments are there: a .npy file of [T, h, w, 3]."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from flashvsr_client.chunks import Frame, Frames
from flashvsr_client.errors import ClientError, OutputError


class EdgeWriter:
    """Takes ``count`` frames, one by one. Made by :func:`writing_edge`."""

    def __init__(self, file: BinaryIO, count: int) -> None:
        self._file = file
        self._count = count
        self._written = 0

    def write(self, picture: Frame) -> None:
        """Add a frame, [h, w, 3]."""
        if self._written == 0:
            kind = np.lib.format.dtype_to_descr(picture.dtype)
            header = {"descr": kind, "fortran_order": False, "shape": (self._count, *picture.shape)}
            np.lib.format.write_array_header_1_0(self._file, header)
        self._file.write(np.ascontiguousarray(picture).data)
        self._written += 1


@contextmanager
def writing_edge(path: Path, count: int) -> Iterator[EdgeWriter]:
    """Open a file for ``count`` frames; it is on the disk when the block ends. Raises :class:`OutputError`."""
    with disk_errors(path), path.open("wb") as file:
        yield EdgeWriter(file, count)
        file.flush()
        os.fsync(file.fileno())


def read_edge(path: Path) -> Frames:
    """Give the frames, which stay on the disk until they are looked at. Raises :class:`OutputError`."""
    try:
        frames: Frames = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path}, a finished overlap, cannot be read: delete its folder and resume the job"
        ) from error
    return frames


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the disk's errors in the block into :class:`OutputError`."""
    try:
        yield
    except ClientError:  # some are OSErrors as well, and have said what is wrong
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write {path} ({reason}): free some space, or choose another place") from error
