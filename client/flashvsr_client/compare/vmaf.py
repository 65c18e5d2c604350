"""VMAF by the FFmpeg on PATH, where it was built with libvmaf; most distributions' is not.

FFmpeg does not read the films: their frames are decoded, lined up and enlarged here, as for every other figure, and
sent to it in one stream, the reference's below its rivals'. So it sees the same pairs whatever the files' clocks, and
never a file's name.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

import numpy as np

from flashvsr_client.chunks import Frame
from flashvsr_client.errors import InputError

WHERE: Final = "give an ffmpeg on PATH that was built with libvmaf"
LEAST_SIDE: Final = 17
"""Of a picture that libvmaf measures; smaller ones end it without a word."""
_STUDIO: Final = "scale=in_range=pc:out_range=tv:out_color_matrix=bt601:flags=accurate_rnd,format=yuv444p"


def offered() -> str | None:
    """Give ffmpeg's path when it has the filter."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        return None
    filters = subprocess.run([ffmpeg, "-hide_banner", "-filters"], capture_output=True, text=True, check=False).stdout
    return ffmpeg if " libvmaf " in filters else None


def harmonic_mean(scores: Sequence[float]) -> float:
    """Of scores from 0 on, as libvmaf pools them: 1 / mean(1 / (x + 1)) - 1. A few bad frames weigh more in it."""
    return 1 / fmean(1 / (score + 1) for score in scores) - 1


class Gauge:
    """A running FFmpeg that measures some rivals of one reference, by libvmaf's default model. A context manager."""

    def __init__(self, ffmpeg: str, size: tuple[int, int], rivals: int) -> None:
        """``size``: width and height of all frames. Raises :class:`InputError` for one that is too small."""
        width, height = size
        if min(size) < LEAST_SIDE:
            raise InputError(
                f"VMAF of {width}x{height}: pictures of {LEAST_SIDE} pixels and more have one; leave --vmaf out"
            )
        self._rivals = rivals
        self._folder = TemporaryDirectory(prefix="flashvsr-vmaf-")
        self._said = (Path(self._folder.name) / "said.txt").open("w+b")
        source = f"-f rawvideo -pixel_format rgb24 -video_size {width}x{height * (rivals + 1)} -framerate 25 -i pipe:0"
        self._process = subprocess.Popen(
            [ffmpeg, "-v", "error", *source.split(), "-lavfi", _chain(width, height, rivals), "-f", "null", "-"],
            cwd=self._folder.name,  # the logs' names need no quoting then
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing running, and no file."""
        self._process.kill()
        self._process.communicate()
        self._said.close()
        self._folder.cleanup()

    def add(self, reference: Frame, rivals: Sequence[Frame]) -> None:
        """Send the next frame of each, uint8 RGB. Raises :class:`InputError` where FFmpeg has given up."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.concatenate([*rivals, reference]).tobytes())
        except BrokenPipeError as error:
            raise self._failure() from error

    def finish(self) -> list[tuple[float, ...]]:
        """Give the frames' scores, 0 to 100, of each rival. Raises :class:`InputError` where FFmpeg failed."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError as error:
            raise self._failure() from error
        if self._process.wait():
            raise self._failure()
        return [self._scores(number) for number in range(self._rivals)]

    def _scores(self, number: int) -> tuple[float, ...]:
        try:
            log = json.loads((Path(self._folder.name) / f"{number}.json").read_text())
        except (OSError, ValueError) as error:
            raise self._failure() from error
        frames = sorted(log["frames"], key=lambda frame: int(frame["frameNum"]))
        return tuple(float(frame["metrics"]["vmaf"]) for frame in frames)

    def _failure(self) -> InputError:
        self._process.wait()
        self._said.seek(0)
        last = (self._said.read().decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
        return InputError(f"ffmpeg cannot measure VMAF of these films: {last}; leave --vmaf out")


def _chain(width: int, height: int, rivals: int) -> str:
    """Cut each stacked frame apart again, and measure; luma becomes that of BT.601 in studio range, as elsewhere."""
    cuts = [(f"rival{number}", number) for number in range(rivals)]
    cuts += [(f"reference{number}", rivals) for number in range(rivals)]
    return ";".join(
        [
            f"[0:v]split={len(cuts)}{''.join(f'[whole_{name}]' for name, _ in cuts)}",
            *(
                f"[whole_{name}]crop={width}:{height}:0:{place * height}:exact=1,{_STUDIO}[{name}]"
                for name, place in cuts
            ),
            *(
                f"[rival{number}][reference{number}]libvmaf=log_fmt=json:log_path={number}.json"
                for number in range(rivals)
            ),
        ]
    )
