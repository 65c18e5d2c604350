"""What an output says of its making, in its metadata."""

from __future__ import annotations

from typing import Final

from flashvsr_client import __version__

KEY: Final = "comment"
"""The one key of free text that MP4, MOV, Matroska, WebM and PNG all have."""


def provenance(model: str, scale: int, seed: int | None) -> str:
    """Name tool, version, model, scale and seed; nothing that differs from run to run."""
    said = "default" if seed is None else str(seed)
    return f"upscaled by flashvsr {__version__}; model {model}; scale {scale}; seed {said}"


def with_provenance(comment: str | None, tag: str) -> str:
    """Put the tag behind the source's own comment."""
    return tag if not comment else f"{comment} | {tag}"
