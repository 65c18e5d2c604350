"""How a film is cut into segments, where they are kept, and how much waits between stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flashvsr_client.config.access import RetryPolicy
from flashvsr_client.errors import UsageError

MAX_OVERLAP: Final = 64
MAX_WARM_UP: Final = 960


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait between the stages of a job; memory is bounded by these and not by the clip."""

    chunks: int = 2
    """Decoded chunks that wait to be sent."""
    frames: int = 8
    """Upscaled frames that wait to be encoded."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """How a film is cut into segments; how they are laid is in segments.py."""

    frames: int | None = None
    """At most in a segment; 0: never cut; None: 960, and fewer where several endpoints share a short film."""
    overlap: int = 4
    """Frames over which one segment fades into the next; 0: none."""
    warm_up: int = 24
    """Frames, at least, that a session takes before the first one that is kept."""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= MAX_OVERLAP:
            raise UsageError(f"segment overlap {self.overlap}: give 0 (none) to {MAX_OVERLAP} frames; 4 is usual")
        if not 0 <= self.warm_up <= MAX_WARM_UP:
            raise UsageError(f"segment warm-up {self.warm_up}: give 0 to {MAX_WARM_UP} frames; 24 is usual")
        shortest = 2 * (self.overlap + 1)
        if self.frames is not None and self.frames != 0 and self.frames < shortest:
            raise UsageError(
                f"segments of {self.frames} frames with an overlap of {self.overlap}: give {shortest} frames or more, "
                "or 0 to never cut"
            )


@dataclass(frozen=True, slots=True)
class JobOptions:
    """Where a job that is cut into segments keeps what is finished, and how it goes on."""

    folder: Path | None = None
    """For job folders; None: beside the output."""
    resume: bool = False
    """Go on with what an earlier run of the same job finished; begin where there is none."""
    command: tuple[str, ...] = ()
    """The words of the command that runs the job, for the journal; resuming it adds ``--resume``."""
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(attempts=22, first_delay=0.5, max_delay=4.0))
    """For a worker that fails, and a session that is lost: over a minute in all, as a restarting engine needs, and
    often enough that its return is noticed soon."""
