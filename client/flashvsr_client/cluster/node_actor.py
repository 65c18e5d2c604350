"""On a node: which files of the driver are there, and a place for those that are not."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flashvsr_client import locations
from flashvsr_client.cluster.scratch import Scratch
from flashvsr_client.edges import disk_errors
from flashvsr_client.errors import ClientError

_SAMPLE: Final = 1 << 20
ASKED, ANSWERED = ".flashvsr-asked", ".flashvsr-answered"


@dataclass(frozen=True, slots=True)
class Mark:
    """By what a file is known again: its size, its date, and its first, middle and last megabyte."""

    size: int
    modified_ns: int
    sample: str
    """SHA-256."""


def mark(path: Path) -> Mark:
    """Look at a file. Raises :class:`OSError`."""
    found, digest = path.stat(), hashlib.sha256()
    with path.open("rb") as file:
        for place in (0, found.st_size // 2, max(0, found.st_size - _SAMPLE)):
            file.seek(place)
            digest.update(file.read(_SAMPLE))
    return Mark(found.st_size, found.st_mtime_ns, digest.hexdigest())


class NodeActor:
    """Of a cluster (connection.py), one on each node that has an engine."""

    def __init__(self, scratch: str | None) -> None:
        self._root = scratch
        self._scratch: Scratch | None = None

    def sees(self, path: Path, known: Mark) -> bool:
        """Whether that very file is here, under the same name."""
        try:
            return mark(path) == known
        except OSError:
            return False

    def shares(self, folder: Path, word: str) -> bool:
        """Whether ``folder`` is the driver's, by the word that it wrote there, and can be written to: answers there."""
        try:
            if (folder / ASKED).read_text() != word:
                return False
            (folder / ANSWERED).write_text(word)
        except OSError:
            return False
        return True

    def fetch(self, url: str, name: str, size: int) -> Path | None:
        """Bring a file from its address; None where that does not give ``size`` bytes. Raises :class:`OutputError`."""
        place = self._place(name)
        try:
            locations.fetch(url, place)
        except ClientError:
            if not _has_room(place):
                raise
            place.unlink(missing_ok=True)
            return None
        return place if place.stat().st_size == size else None

    def take(self, name: str, offset: int, data: bytes) -> Path:
        """Keep a piece of a file that is sent here, in any order. Raises :class:`OutputError`."""
        place = self._place(name)
        with disk_errors(place), os.fdopen(os.open(place, os.O_RDWR | os.O_CREAT), "r+b") as file:
            file.seek(offset)
            file.write(data)
        return place

    def drop(self, name: str) -> None:
        """Delete a file that was brought here."""
        self._place(name).unlink(missing_ok=True)

    def _place(self, name: str) -> Path:
        if self._scratch is None:
            self._scratch = Scratch(self._root)
        return self._scratch.path / name


def _has_room(place: Path) -> bool:
    found = os.statvfs(place.parent)
    return found.f_bavail * found.f_frsize > _SAMPLE
