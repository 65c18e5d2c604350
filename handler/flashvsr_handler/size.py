"""Sizes of input frames, as they are written in settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

WRITTEN_AS: Final = "WIDTHxHEIGHT or WIDTHxHEIGHTxSCALE, as 480x270x4"
WRITTEN: Final = re.compile(r"([0-9]{1,5})x([0-9]{1,5})(?:x([234]))?")


@dataclass(frozen=True, slots=True)
class Size:
    """Of input frames, in pixels."""

    width: int
    height: int
    scale: int | None = None
    """2, 3 or 4; None: the engine's own."""

    @classmethod
    def read(cls, text: str) -> Size:
        """Read what is written as :data:`WRITTEN_AS` says. Raises :class:`ValueError`."""
        found = WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no {WRITTEN_AS}")
        width, height, scale = found.groups()
        return cls(int(width), int(height), int(scale) if scale else None)
