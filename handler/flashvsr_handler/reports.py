"""What a worker tells flashvsr-serve about itself, through files in a directory: that it works, why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


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
        marker.touch()
        try:
            yield
        finally:
            marker.unlink(missing_ok=True)

    def is_working(self) -> bool:
        """Whether the worker loads or answers a request."""
        return self.directory is not None and self._file("working").exists()

    def failed(self, reason: str) -> None:
        """Say why the model cannot be loaded."""
        if self.directory is not None:
            partial = self._file("partial")
            partial.write_text(reason, encoding="utf-8")
            partial.replace(self._file("failed"))

    def failure(self) -> str | None:
        """Why the model cannot be loaded, None as long as nothing was said."""
        if self.directory is None or not self._file("failed").exists():
            return None
        return self._file("failed").read_text(encoding="utf-8")

    def _file(self, kind: str) -> Path:
        assert self.directory is not None
        return self.directory / f"{self.model_name}.{kind}"
