"""How many GPUs make a film in how long: from the frames a second that bench/RESULTS.md has.

    python -m bench.film --film 2h --size 1920x1080 --fps 25 --scale 2

The network works at the output's size, so its measured speed is taken at the nearest output that was measured, and
divided by the ratio of the pixels where that is another size: an estimate, and the answer says so. Each segment's
warm-up, overlap and look-ahead are counted; decoding and encoding go on meanwhile and are not, nor is loading.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flashvsr_client.config import Segmentation
from flashvsr_client.segments import cut, extra_share

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
GPUS: Final = (1, 2, 4, 8, 16)
_ROW: Final = re.compile(r"^\| (\d+)x(\d+) \| (tiny|full) \| (\d+) \| ([\d.]+) \|", re.MULTILINE)
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of "The engine at the published sizes"."""

    width: int
    height: int
    mode: str
    mask: int
    fps: float

    @property
    def pixels(self) -> int:
        """Of one output frame."""
        return self.width * self.height


def measured(text: str, mode: str, mask: int) -> list[Measured]:
    """Rows of that mode and mask. Raises :class:`ValueError` where there are none."""
    rows = [Measured(int(w), int(h), kind, int(m), float(fps)) for w, h, kind, m, fps in _ROW.findall(text)]
    found = [row for row in rows if (row.mode, row.mask) == (mode, mask)]
    if not found:
        raise ValueError(f"no measurement of mode {mode} with mask {mask} in {RESULTS.name}: measure it first")
    return found


def nearest(rows: list[Measured], pixels: int) -> Measured:
    """The row whose output is nearest in pixels, by ratio."""
    return min(rows, key=lambda row: abs(math.log(row.pixels / pixels)))


def seconds_of(text: str) -> float:
    """Read "2h", "1h30m", "95m" or "40s". Raises :class:`ValueError`."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no length of a film: give it as 2h, 1h30m or 40s")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def answer(frames: int, width: int, height: int, row: Measured) -> Iterator[str]:
    """Lines for people; width and height are of the output."""
    segments = cut(frames, Segmentation(), max(GPUS))
    share = extra_share(segments, frames)
    speed = row.fps * row.pixels / (width * height)
    how = "measured there" if (row.width, row.height) == (width, height) else "scaled by pixels, not measured"
    yield f"{frames} frames of {width}x{height} in {len(segments)} segments, {share:.1%} more to compute"
    yield f"measured: {row.fps:g} fps at {row.width}x{row.height} ({row.mode}, mask {row.mask}, one H200)"
    yield f"here: {speed:.2f} fps a GPU ({how}); {frames * (1 + share) / speed / 3600:.1f} hours of one GPU"
    yield "| GPUs | hours | fps |"
    yield "| ---: | ---: | ---: |"
    for count in GPUS:
        rounds = math.ceil(len(segments) / count)  # the last round may leave some idle
        seconds = rounds * frames * (1 + share) / len(segments) / speed
        yield f"| {count} | {seconds / 3600:.2f} | {frames / seconds:.1f} |"


def main() -> None:
    """Parse the options and print the answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--film", type=seconds_of, default="2h", help="its length, such as 2h or 1h30m")
    parser.add_argument("--size", default="1920x1080", help="of the input")
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--scale", type=int, default=2, choices=(2, 3, 4))
    parser.add_argument("--mode", default="tiny", choices=("tiny", "full"))
    parser.add_argument("--mask", type=int, default=128, choices=(64, 128))
    options = parser.parse_args()
    width, height = (int(side) * options.scale for side in options.size.split("x"))
    row = nearest(measured(RESULTS.read_text(), options.mode, options.mask), width * height)
    print("\n".join(answer(round(options.film * options.fps), width, height, row)))


if __name__ == "__main__":
    main()
