"""What an output says of its making, in its metadata."""

from __future__ import annotations

from typing import Final

from av.container import OutputContainer

from flashvsr_client import __version__

KEY: Final = "comment"
"""The one key of free text that MP4, MOV, Matroska, WebM and PNG all have."""


def provenance(model: str, scale: int, seed: int | None) -> str:
    """Name tool, version, model, scale and seed; nothing that differs from run to run."""
    said = "default" if seed is None else str(seed)
    return f"upscaled by flashvsr {__version__}; model {model}; scale {scale}; seed {said}"


def put(output: OutputContainer, tag: str) -> None:
    """Put the tag into a container's metadata, behind the source's own comment; before its header is written."""
    metadata = output.metadata
    own = next((key for key in metadata if key.lower() == KEY), KEY)  # Matroska writes its keys in capitals
    metadata[own] = f"{metadata[own]} | {tag}" if metadata.get(own) else tag
