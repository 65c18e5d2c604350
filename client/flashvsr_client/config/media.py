"""How the input is read and the output written."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from flashvsr_client.errors import UsageError

HDR_TREATMENTS: Final = ("refuse", "tonemap", "keep")


@dataclass(frozen=True, slots=True)
class Reading:
    """How the input is read: which part of it, and what it does not say itself."""

    fps: Fraction | None = None
    """Frames per second of a folder of pictures (25 where none is given) and of raw video."""
    size: tuple[int, int] | None = None
    """Width and height of raw video."""
    pixel_format: str | None = None
    """Of raw video, by FFmpeg's name; giving it says that the input is raw video."""
    start: Fraction = Fraction(0)
    """Seconds at which to begin: the first frame that is shown then or later."""
    duration: Fraction | None = None
    """Seconds to take; None: to the end."""
    hdr: str = "refuse"
    """What to do with PQ and HLG: "refuse", "tonemap" to SDR, or "keep" as it is."""

    def __post_init__(self) -> None:
        if self.hdr not in HDR_TREATMENTS:
            raise UsageError(f"hdr {self.hdr!r}: give {', '.join(HDR_TREATMENTS)}")
        if self.fps is not None and self.fps <= 0:
            raise UsageError(f"fps {self.fps}: give more than 0 frames per second, such as 25 or 30000/1001")
        if self.size is not None and min(self.size) < 1:
            raise UsageError(
                f"size {self.size[0]}x{self.size[1]}: give a width and a height in pixels, such as 640x360"
            )
        if self.start < 0:
            raise UsageError(f"start {float(self.start):g} s: give 0 or more")
        if self.duration is not None and self.duration <= 0:
            raise UsageError(f"duration {float(self.duration):g} s: give more than 0")
        if (self.pixel_format is None) != (self.size is None):
            raise UsageError("raw video needs its pixel format and its size: give both or neither")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the output is written. None leaves a choice to us; docs/client.md says what we choose."""

    codec: str | None = None
    """An encoder by FFmpeg's name, or h264, hevc, av1, vp9, prores; None: libx264, in WebM libsvtav1."""
    crf: int | None = None
    """Quality on the encoder's own scale, less is better and larger; None: visually transparent."""
    preset: str | None = None
    """Of the encoder, such as ultrafast to veryslow of x264."""
    pixel_format: str | None = None
    """How pixels are stored, by FFmpeg's name; None: 4:2:0 in the depth of the source, 4:4:4 for odd sizes."""
    options: tuple[tuple[str, str], ...] = ()
    """More options of the encoder, by FFmpeg's names."""
    audio: bool = True
    """Copy the input's audio streams."""
    subtitles: bool = True
    """Copy the input's subtitle streams."""
    attachments: bool = True
    """Copy the input's attached fonts, files and cover pictures."""
    provenance: bool = True
    """Say in the output's metadata what it was made with."""
    overwrite: bool = False
    """Replace an existing output."""

    def __post_init__(self) -> None:
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise UsageError(f"crf {self.crf}: give 0 (best) to 51, of av1 and vp9 to 63; 18 is transparent in x264")
