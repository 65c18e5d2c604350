"""A folder that goes away with the process that made it, however that ends."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Final

from flashvsr_client.edges import disk_errors

_PREFIX: Final = "flashvsr-"
_WATCH: Final = 'exec 3<&0; (cat <&3 >/dev/null; rm -rf -- "$1") &'
"""Waits in the background for the end of its standard input, which the kernel closes when the other side dies."""


class Scratch:
    """``path`` is the folder. It needs a POSIX shell."""

    def __init__(self, root: str | None = None) -> None:
        """Make it below ``root``, or below the folder for temporary files. Raises :class:`OutputError`."""
        place = Path(root or tempfile.gettempdir())
        with disk_errors(place):
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        self._watcher = subprocess.Popen(
            ["sh", "-c", _WATCH, "sh", str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a signal for the whole group of this process is not for it
        )
        self._watcher.wait()  # it has put the watching into the background, where nobody kills it as a child

    def close(self) -> None:
        """Let the folder go now."""
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
