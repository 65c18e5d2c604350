"""Inputs and outputs that have an address, such as s3://bucket/film.mp4, and where they are on this machine meanwhile.

Names lead to the same place each time, so a job that ended early finds its journal and its input again.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from threading import Event

from flashvsr_client import locations
from flashvsr_client.edges import disk_errors
from flashvsr_client.errors import InputError, OutputError


class Staging:
    """Gives each address a path below ``root``, or below ~/.cache; any other name is the path that it is."""

    def __init__(self, root: Path | None = None) -> None:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        self._root = root or Path(cache, "flashvsr")
        self._sources: dict[Path, str] = {}
        self._target: tuple[Path, str] | None = None

    def source(self, name: str | Path) -> Path:
        """Give the path of an input; that of an address is filled by :meth:`bring`."""
        if isinstance(name, Path) or not locations.is_address(name):
            return Path(name)
        folder, _, last = name.rpartition("/")
        path = self._below(folder) / last
        self._sources[path.resolve()] = name
        return path

    def target(self, name: str) -> str:
        """Give the name of an output, or the pattern of several, here."""
        if not locations.is_address(name):
            return name
        fixed = name.split("{")[0]
        folder = fixed.rpartition("/")[0] if Path(name).suffix else fixed.rstrip("/")
        self._target = self._below(folder), folder
        return str(self._target[0]) + name[len(folder) :]

    def address_of(self, path: Path) -> str | None:
        """Give the address that an input has."""
        return self._sources.get(path.resolve())

    def name_of(self, path: Path) -> str:
        """Give what an input was called."""
        return self.address_of(path) or str(path)

    def bring(self, path: Path, stop: Event | None = None) -> None:
        """Fetch an input that has an address, unless it is here in its size. Raises as :func:`locations.fetch`."""
        if (address := self.address_of(path)) is None:
            return
        if (size := locations.size_of(address)) is None:
            raise InputError(f"{address}: no such file: give the address of one video")
        if path.is_file() and path.stat().st_size == size:
            return
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        locations.fetch(address, path, stop)

    def prepare(self, path: Path, *, overwrite: bool) -> None:
        """Make the folder of an output that has an address. Raises :class:`OutputError` where there is one already."""
        if (address := self._address_to(path)) is None:
            return
        if not overwrite and self.present(path):
            raise OutputError(f"{address} exists: choose another name, or give -y to overwrite it")
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)

    def present(self, path: Path) -> bool:
        """Whether an output is there already, at its address or here."""
        address = self._address_to(path)
        return path.exists() if address is None else locations.size_of(address) is not None

    def send(self, source: Path, target: Path) -> str | None:
        """Put a finished output at its address, if it has one, and forget both files here; give the address."""
        address = self._address_to(target)
        if address is not None:
            try:
                locations.put(target, address)
            except OutputError as error:
                raise OutputError(f"{error}; the finished film is kept as {target}") from error
            target.unlink()
        if self.address_of(source) is not None:
            source.unlink()
        return address

    def _address_to(self, path: Path) -> str | None:
        if self._target is None or not path.is_relative_to(self._target[0]):
            return None
        return f"{self._target[1]}/{path.relative_to(self._target[0]).as_posix()}"

    def _below(self, folder: str) -> Path:
        return self._root / hashlib.sha256(folder.encode()).hexdigest()[:16]
