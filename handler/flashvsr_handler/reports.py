"""What a worker tells flashvsr-serve about itself, through files in a directory: that it works, why it cannot."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DRAIN: Final = "drain"
_NOT_YET: Final = b" " * 32


@dataclass(frozen=True, slots=True)
class Reports:
    """The files of one model; with no directory, nothing is written."""

    directory: Path | None
    model_name: str

    @classmethod
    def under(cls, directory: str, model_name: str) -> Reports:
        """Reports under the directory of that path; an empty path is none."""
        return cls(Path(directory) if directory else None, model_name)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Say that the worker is at work until the block ends; a worker that is killed in it leaves that said."""
        if self.directory is None:
            yield
            return
        marker = self._file("working")
        with suppress(OSError):  # on a full disk the work is done all the same
            marker.write_text(repr(time.monotonic()), encoding="utf-8")  # one clock for all, which never jumps
        try:
            yield
        finally:
            marker.unlink(missing_ok=True)

    def is_working(self, within_s: float = math.inf) -> bool:
        """Whether the worker loads or answers a request that it began at most so many seconds ago."""
        try:
            began = self.directory and self._file("working").read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        return began is not None and (not began or time.monotonic() - float(began) <= within_s)

    def failed(self, reason: str) -> None:
        """Say why the model cannot be loaded; on a full disk nobody is told."""
        if self.directory is None:
            return
        with suppress(OSError):
            partial = self._file("partial")
            partial.write_text(reason, encoding="utf-8")
            partial.replace(self._file("failed"))

    def failure(self) -> str | None:
        """Why the model cannot be loaded, None as long as nothing was said."""
        if self.directory is None or not self._file("failed").exists():
            return None
        return self._file("failed").read_text(encoding="utf-8")

    def prepare(self) -> None:
        """Make room for the word that the server stops, so that it can be given when the disk is full."""
        assert self.directory is not None
        (self.directory / DRAIN).write_bytes(_NOT_YET)

    def drain(self, seconds: float) -> None:
        """Tell all workers of this directory that the server stops, in so many seconds at the latest.

        Raises OSError when that cannot be written: on a full disk, only where a file system copies what it overwrites.
        """
        assert self.directory is not None
        word = f"{time.monotonic() + seconds:.3f}".encode().rjust(len(_NOT_YET))
        with (self.directory / DRAIN).open("r+b", buffering=0) as file:  # over what is there: it takes no new block
            file.write(word)

    def drain_seconds(self) -> float | None:
        """Seconds until the server stops, None when it does not."""
        if self.directory is None:
            return None
        try:
            return float((self.directory / DRAIN).read_bytes()) - time.monotonic()
        except (FileNotFoundError, ValueError):  # no server of ours, or nothing said yet
            return None

    def _file(self, kind: str) -> Path:
        assert self.directory is not None
        return self.directory / f"{self.model_name}.{kind}"
