"""Files by their address, such as s3://bucket/film.mp4: whatever fsspec knows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, Final
from uuid import uuid4

from flashvsr_client.edges import disk_errors
from flashvsr_client.errors import ClientError, InputError, JobInterruptedError, OutputError, UsageError

_PIECE: Final = 8 << 20


def is_address(name: str) -> bool:
    """Whether a name is an address, and no path."""
    return "://" in name


def size_of(url: str) -> int | None:
    """Bytes of a file; None where there is none. Raises :class:`UsageError`, :class:`InputError`."""
    with _errors(url, InputError):
        system, path = _system(url)
        return int(system.size(path)) if system.isfile(path) else None


def fetch(url: str, place: Path, stop: Event | None = None) -> None:
    """Copy a file to ``place``. Raises :class:`UsageError`, :class:`InputError`, :class:`OutputError`.

    :class:`JobInterruptedError` soon after ``stop`` is set.
    """
    with _errors(url, InputError):
        system, path = _system(url)
        source = system.open(path, "rb")
    with disk_errors(place), place.open("wb") as file:
        while piece := _read(source, url):
            file.write(piece)
            if stop is not None and stop.is_set():
                raise JobInterruptedError(f"interrupted while {url} was fetched; no output was written")
    source.close()


def put(place: Path, url: str) -> None:
    """Copy a file to where it appears when it is whole. Raises :class:`UsageError`, :class:`OutputError`."""
    with _errors(url, OutputError):
        system, path = _system(url)
        unfinished = f"{path}.{uuid4().hex}.part"
        try:
            with place.open("rb") as file, _opened(system, unfinished) as there:
                shutil.copyfileobj(file, there, _PIECE)
            system.mv(unfinished, path)
        finally:
            if system.exists(unfinished):
                system.rm_file(unfinished)


def _opened(system: Any, path: str) -> Any:
    """Open a file to write, in a folder that is made where there are folders; a bucket has to be there."""
    try:
        return system.open(path, "wb")
    except FileNotFoundError:
        system.makedirs(system._parent(path), exist_ok=True)
        return system.open(path, "wb")


def _read(source: Any, url: str) -> bytes:
    with _errors(url, InputError):
        return bytes(source.read(_PIECE))


def _system(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise UsageError(f"{url} needs fsspec, which is not installed here: pip install fsspec") from error
    scheme = url.split("://")[0]
    try:
        system, path = url_to_fs(url)
    except ImportError as error:  # its message names the package
        raise UsageError(f"{url}: {error}") from error
    except ValueError as error:
        raise UsageError(f"{url}: fsspec knows no {scheme}://, but s3, gs, http, file and others") from error
    return system, str(path)


@contextmanager
def _errors(url: str, kind: type[ClientError]) -> Iterator[None]:
    try:
        yield
    except ClientError:
        raise
    except Exception as error:  # each of fsspec's file systems has errors of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        done, right = ("read", "read") if kind is InputError else ("written", "write")
        raise kind(f"{url} cannot be {done} ({reason}): check the address, and that you may {right} there") from error
