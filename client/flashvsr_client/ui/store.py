"""Temporary files: a private folder of this process, with a folder for every visit, and what browsers upload."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final

from flashvsr_client.errors import InputError, OutputError

PREFIX: Final = "flashvsr-ui-"
_LOCK: Final = "lock"
_UNCLAIMED_SECONDS: Final = 300.0  # an upload that nobody asked for, or that broke off


class Store:
    """The folder; nobody else can read it. Safe to use from several threads.

    root/lock             held as long as the process lives
    root/visits/NAME/     of a visit: in/, out/
    root/HASH/NAME        an upload, where Gradio puts it; root/tmp*: one that is under way
    """

    def __init__(self, parent: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        """Make it in ``parent``, by default the system's folder for temporary files.

        What a process left that was killed is removed. Raises :class:`OutputError`.
        """
        place = Path(parent or tempfile.gettempdir())
        try:
            for old in place.glob(f"{PREFIX}*"):
                _remove_abandoned(old)
            self.root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place)).resolve()  # mode 0700
            self._lock_file = os.open(self.root / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock_file, fcntl.LOCK_EX)
            self._visits = self.root / "visits"
            self._visits.mkdir()
        except OSError as error:
            raise OutputError(f"no folder for temporary files in {place} ({error.strerror}): set TMPDIR") from error
        self._clock = clock
        self._lock = Lock()
        self._holders: dict[Path, set[Path]] = {}
        self._claimed: dict[Path, int] = {}
        """Which file it was: the same content under the same name, sent again, is another one at the same place."""

    def new_folder(self, parent: Path | None = None) -> Path:
        """Make a folder, by default in the root, whose name cannot be guessed.

        Names are all that keeps one visitor from another's files.
        """
        folder = (parent or self._visits) / secrets.token_urlsafe(16)
        folder.mkdir()
        return folder

    def claim(self, upload: Path, folder: Path) -> Path:
        """Give ``folder`` an upload, under the name that it has, without copying it; the upload is kept as long.

        Raises :class:`InputError` for a path that is no upload: it came from a browser.
        """
        real = upload.resolve()
        if real.parent.parent != self.root or not real.is_file():
            raise InputError(f"{upload.name} is no upload, or was removed: drop the video again")
        own = folder / "in" / real.name
        own.parent.mkdir(exist_ok=True)
        with self._lock:
            own.unlink(missing_ok=True)
            own.hardlink_to(real)
            self._holders.setdefault(real, set()).add(folder)
            self._claimed[real] = own.stat().st_ino
        return own

    def release(self, folder: Path) -> None:
        """Remove a folder's upload; two browsers that send the same file share it, and the last one removes it."""
        shutil.rmtree(folder / "in", ignore_errors=True)
        with self._lock:
            for upload in [upload for upload, holders in self._holders.items() if folder in holders]:
                self._holders[upload].discard(folder)
                if not self._holders[upload]:
                    del self._holders[upload]
                    self._remove(upload, self._claimed.pop(upload))

    def drop(self, folder: Path) -> None:
        """Remove a folder and its upload."""
        self.release(folder)
        shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def _remove(upload: Path, claimed: int) -> None:
        """Remove an upload, and its folder, which uploads of the same content under other names share."""
        with suppress(OSError):
            if upload.stat().st_ino == claimed:
                upload.unlink()
                upload.parent.rmdir()

    def sweep(self) -> None:
        """Remove uploads that broke off or that nobody claimed."""
        before = self._clock() - _UNCLAIMED_SECONDS
        with self._lock:
            for path in [*self.root.glob("tmp*"), *self.root.glob("*/*")]:
                with suppress(OSError):  # it goes away by itself
                    if path.is_file() and path not in self._holders and path.stat().st_mtime < before:
                        path.unlink()
                        if path.parent != self.root:
                            path.parent.rmdir()

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.root, ignore_errors=True)
        os.close(self._lock_file)


def _remove_abandoned(folder: Path) -> None:
    """Remove the folder of a process that is gone, which is seen by its lock; others' folders cannot be opened."""
    with suppress(OSError):
        handle = os.open(folder / _LOCK, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)
