"""The folder of a job: where it is, who works in it, which of its files are whole, and what is left of it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from flashvsr_client.edges import disk_errors
from flashvsr_client.errors import InputError, OutputError
from flashvsr_client.journal import NAME, Journal
from flashvsr_client.media.parts import SUFFIX
from flashvsr_client.segment_run import BODY, HEAD, TAIL

ENDING: Final = ".flashvsr"
_LOCK: Final = "lock"
_ATTEMPTS: Final = "attempts"


def folder_of(target: Path, root: Path | None) -> Path:
    """Where the job that makes ``target`` keeps its files: hidden beside it, or in ``root``.

    In ``root`` the name carries a hash of the target's path, for outputs of one name in several folders.
    """
    if root is None:
        return target.with_name(f".{target.name}{ENDING}")
    place = hashlib.sha256(str(target.resolve()).encode()).hexdigest()[:8]
    return root / f"{target.name}-{place}{ENDING}"


def jobs_below(root: Path) -> Iterator[Path]:
    """Give the folders of jobs in ``root`` and below, in the order of their names; ``root`` itself may be one."""
    found = [path.parent for path in root.rglob(NAME) if path.parent.name.endswith(ENDING)]
    return iter(sorted(found))


@contextmanager
def locked(folder: Path, *, new: bool = True) -> Iterator[None]:
    """Hold the folder, made if need be for a ``new`` job: no other process works on the job meanwhile.

    The lock is the kernel's, so it ends with the process however that ends. Raises :class:`OutputError`, and
    :class:`InputError` where there is no such folder.
    """
    if not new and not (folder / NAME).is_file():
        raise InputError(f"{folder} is no job's folder: `flashvsr jobs` lists them")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(f"another process works on the job in {folder}: wait for it, or stop it") from error
        yield
    finally:
        os.close(handle)


def content(files: Sequence[Path]) -> tuple[int, str]:
    """Size and SHA-256 of a film's files, all of them: some seconds for many gigabytes. Raises :class:`InputError`."""
    size, digest = 0, hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
                size += file.tell()
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}): check its path and permissions") from error
    return size, digest.hexdigest()


def attempt(folder: Path, name: str) -> Path:
    """Make an empty folder for one attempt at something. Raises :class:`OutputError`."""
    path = folder / _ATTEMPTS / name
    with disk_errors(path):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    return path


def keep_attempt(folder: Path, made: Path, index: int) -> None:
    """Make a finished attempt the result of segment ``index``. Raises :class:`OutputError`."""
    place = segment_folder(folder, index)
    with disk_errors(place):
        shutil.rmtree(place, ignore_errors=True)
        made.replace(place)
        _sync(folder)


def segment_folder(folder: Path, index: int) -> Path:
    """Where the files of a finished segment are."""
    return folder / f"segment-{index:05}"


def body_file(folder: Path, index: int) -> Path:
    """The frames that are the segment's alone."""
    return segment_folder(folder, index) / BODY


def head_file(folder: Path, index: int) -> Path:
    """The frames that it shares with the segment before."""
    return segment_folder(folder, index) / HEAD


def tail_file(folder: Path, index: int) -> Path:
    """The frames that it shares with the next segment."""
    return segment_folder(folder, index) / TAIL


def seam_file(folder: Path, index: int) -> Path:
    """The faded overlap of segments ``index`` and ``index`` + 1."""
    return folder / f"seam-{index:05}{SUFFIX}"


def drop_edges(folder: Path, index: int) -> None:
    """Free what the overlap of segments ``index`` and ``index`` + 1 was made of."""
    tail_file(folder, index).unlink(missing_ok=True)
    head_file(folder, index + 1).unlink(missing_ok=True)


def verified(journal: Journal) -> Journal:
    """Leave out of a journal what its folder does not have whole: it is made again. Unfinished attempts go."""
    folder = journal.folder
    shutil.rmtree(folder / _ATTEMPTS, ignore_errors=True)
    seams = {i: part for i, part in journal.seams.items() if _has(seam_file(folder, i), part.bytes)}
    done = {
        index: result
        for index, result in journal.done.items()
        if _has(body_file(folder, index), result.body.bytes)
        and (not result.head or index - 1 in seams or head_file(folder, index).is_file())
        and (not result.tail or index in seams or tail_file(folder, index).is_file())
    }
    return replace(journal, done=done, seams=seams)


def remove(folder: Path) -> int:
    """Delete a job's folder and give the bytes that it held. Raises :class:`OutputError`."""
    with disk_errors(folder):
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder)
    return size


def _has(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
