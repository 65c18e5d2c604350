"""What a finished job has to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from flashvsr_client.media.timing import Stages


@dataclass(frozen=True, slots=True)
class Report:
    """Of one upscaled file. Times are in seconds, measured on a monotonic clock."""

    output: Path
    frames: int
    width: int
    """Of the output, in pixels."""
    height: int
    seconds: float
    """From opening the input to the finished output file."""
    first_frame_seconds: float
    """From opening the session to the first upscaled frame."""
    model: str
    """Name and version of the weights."""
    pixel_format: str
    """Of the output file: yuv420p, or yuv444p where a side is odd."""
    audio_streams: int
    """How many were copied."""
    segments: int = 1
    """1: one continuous session."""
    resumed_frames: int = 0
    """That an earlier run had finished; ``fps`` does not count them."""
    stages: Stages = field(default_factory=Stages)
    """Where the time went; of a film in one session only."""
    notes: tuple[str, ...] = ()
    """What went wrong and was made good: lost sessions, slow endpoints."""

    @property
    def fps(self) -> float:
        """Frames per second over the whole job."""
        return (self.frames - self.resumed_frames) / self.seconds

    def __str__(self) -> str:
        audio = f", {self.audio_streams} audio stream{'s' * (self.audio_streams != 1)} copied" * (
            self.audio_streams > 0
        )
        cut = f" in {self.segments} segments" * (self.segments > 1)
        resumed = f", {self.resumed_frames} of them from before" * (self.resumed_frames > 0)
        return (
            f"{self.output}: {_counted(self.frames, 'frame')} of {self.width}x{self.height} "
            f"{self.pixel_format}{cut}{resumed}{audio}; {self.seconds:.1f} s, {self.fps:.2f} fps, "
            f"first frame after {self.first_frame_seconds:.2f} s ({self.model})"
        )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
