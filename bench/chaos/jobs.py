"""Films as files: a job in segments, run by the command, killed and resumed, its frames checked at the end."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Final

import av

from bench.chaos.films import HEIGHT, SCALE, WIDTH, Film, WrongFrameError
from bench.chaos.tally import Gate, Tally
from tests.faults.lab import ROOT

COMMAND: Final = str(Path(sys.executable).with_name("flashvsr"))
LENGTH: Final = 200
SEGMENT: Final = 64
RATE: Final = 25
TRIES: Final = 20
LOSSLESS: Final = "ffv1"
PIXELS: Final = "bgr0"


class Jobs(threading.Thread):
    """Makes one job after the other; one that ends early is gone on with by ``--resume``."""

    def __init__(self, address: str, folder: Path, gate: Gate, tally: Tally) -> None:
        super().__init__(name="jobs", daemon=True)
        self._address = address
        self._folder = folder
        self._gate = gate
        self._tally = tally
        self._film = Film(1 << 16, LENGTH)
        self._source = folder / "source.mkv"
        self._running: subprocess.Popen[str] | None = None
        write(self._source, self._film)

    def run(self) -> None:
        """Make jobs until the gate ends it."""
        while self._gate.enter():
            try:
                self._make(self._folder / "target.mkv")
            finally:
                self._gate.leave()

    def kill(self) -> None:
        """Kill -9 for the command that runs now, if one does."""
        if (running := self._running) is not None:
            running.kill()

    def _make(self, target: Path) -> None:
        for _ in range(TRIES):
            code, said = self._attempt(target)
            if code == 0:
                break
            self._tally.count(jobs_resumed=1)
            self._tally.count(**{f"job ended with {code}": 1})
            time.sleep(1)
        else:
            self._tally.violated(f"job: not finished after {TRIES} runs: {said}")
            return
        try:
            check(target, self._film)
        except WrongFrameError as error:
            self._tally.violated(f"job: {error}")
        self._tally.count(jobs=1, frames=LENGTH)
        target.unlink()

    def _attempt(self, target: Path) -> tuple[int, str]:
        cut = ("--segment-frames", str(SEGMENT), "--resume", "-q")
        lossless = ("-c", LOSSLESS, "--pix-fmt", PIXELS)
        options = ("--server", self._address, "--scale", str(SCALE), *cut, *lossless)
        command = [COMMAND, "upscale", str(self._source), "-o", str(target), *options]
        self._running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        _, said = self._running.communicate()
        code, self._running = self._running.returncode, None
        return code, said


def write(path: Path, film: Film, scale: int = 1) -> None:
    """Write a film without loss, its size times ``scale``; a frame of it, enlarged, is what the echo engine gives."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(LOSSLESS, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH * scale, HEIGHT * scale, PIXELS
        stream.time_base = Fraction(1, RATE)
        for picture in film.frames():
            picture = picture.repeat(scale, axis=0).repeat(scale, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def check(path: Path, film: Film) -> None:
    """Raise :class:`WrongFrameError` unless the file has each frame of the film once, in order."""
    count = 0
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            film.check(index, frame.to_ndarray(format="rgb24"))
            count += 1
    if count != film.length:
        raise WrongFrameError(f"{path.name}: {count} of {film.length} frames")
