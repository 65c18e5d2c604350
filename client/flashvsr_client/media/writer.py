"""The seam between a job and its output, whatever that is."""

from __future__ import annotations

from typing import Protocol

from flashvsr_client.chunks import Frame
from flashvsr_client.media.decode import Moment


class Writer(Protocol):
    """Takes the upscaled frames of one input, in order."""

    @property
    def pixel_format(self) -> str:
        """How pixels are stored."""

    @property
    def depth(self) -> int:
        """Bits of the pictures that are wanted, 8 or 16."""

    def describe(self, tag: str) -> None:
        """Put a line on the output's making in its metadata; before the first frame, or not at all."""

    def write(self, picture: Frame, moment: Moment) -> None:
        """Write one frame, RGB [h, w, 3], uint8 or uint16. Raises :class:`OutputError`."""
