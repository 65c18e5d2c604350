"""Standard input as a source: it can be read once, and yet has to be looked at before it is decoded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO, Final

STANDARD: Final = Path("-")
"""The name of standard input and standard output."""


class Pipe:
    """A stream of bytes whose beginning can be read twice: once to see what it is, once to decode it.

    Only what was read before :meth:`rewind` is kept, so memory does not grow with the stream.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        """``stream``: standard input unless given."""
        self._stream = stream or sys.stdin.buffer
        self._head = bytearray()
        self._position = 0
        self._looking = True

    def read(self, size: int) -> bytes:
        """Give at most ``size`` bytes; none at the end."""
        if self._position < len(self._head):
            data = bytes(self._head[self._position : self._position + size])
            self._position += len(data)
            if not self._looking and self._position == len(self._head):
                self._head.clear()
                self._position = 0
            return data
        data = self._stream.read(size)
        if self._looking:
            self._head += data
            self._position = len(self._head)
        return data

    def rewind(self) -> None:
        """Go back to the beginning, once."""
        assert self._looking, "a pipe is read once"
        self._looking = False
        self._position = 0
