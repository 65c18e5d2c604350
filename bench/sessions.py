"""Sessions as viewers have them, several at one time, and when each of their frames came."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from flashvsr_client import Client, ClientError

LOOK_AHEAD: Final = 4
"""By so many frames the model's output trails its input."""
WAIT_S: Final = 600.0
"""The longest that one session may take."""
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What each session sends: sizes in pixels of the input; ``fps`` 0 sends as fast as the server takes."""

    width: int = 64
    height: int = 48
    scale: int = 2
    frames: int = 81
    fps: float = 0.0


@dataclass(slots=True)
class Viewing:
    """One session: seconds since its beginning at which frames came, and how it failed, if it did."""

    first: int = 0
    """Frames of the first output."""
    chunk: int = 1
    """Frames of each later one."""
    arrivals: list[float] = field(default_factory=list)
    error: str = ""

    @property
    def first_frame_s(self) -> float:
        """From open to the first frame; infinite when none came."""
        return self.arrivals[0] if self.arrivals else float("inf")

    @property
    def gaps_s(self) -> list[float]:
        """Between the first frames of outputs that follow one another."""
        if not self.arrivals:
            return []
        starts = [self.arrivals[index] for index in (0, *range(self.first, len(self.arrivals), self.chunk))]
        return [later - earlier for earlier, later in pairwise(starts)]


def view(server: str, traffic: Traffic, sessions: int) -> tuple[list[Viewing], float]:
    """Run so many sessions at one time, each over a channel of its own; give them and the seconds that all took."""
    viewings = [Viewing() for _ in range(sessions)]
    threads = [
        threading.Thread(target=_view, args=(server, traffic, seed, viewing), daemon=True)
        for seed, viewing in enumerate(viewings)
    ]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    for thread, viewing in zip(threads, viewings, strict=True):
        if thread.is_alive():
            viewing.error = f"not done after {WAIT_S:g} s"
    return viewings, time.perf_counter() - start


def _view(server: str, traffic: Traffic, seed: int, viewing: Viewing) -> None:
    start = time.perf_counter()
    try:
        with (
            Client(server) as client,
            client.open_session(traffic.width, traffic.height, scale=traffic.scale) as session,
        ):
            viewing.first, viewing.chunk = session.info.first_chunk - LOOK_AHEAD, session.info.chunk
            for _ in session.upscale(_source(traffic, seed)):
                viewing.arrivals.append(time.perf_counter() - start)
    except ClientError as error:
        viewing.error = f"{type(error).__name__}: {error}"
    if not viewing.error and len(viewing.arrivals) != traffic.frames:
        viewing.error = f"{len(viewing.arrivals)} of {traffic.frames} frames came"


def _source(traffic: Traffic, seed: int) -> Iterator[Picture]:
    """Random pictures; with ``fps`` each is there at its time and no sooner."""
    pictures: Sequence[Picture] = list(
        np.random.default_rng(seed).integers(0, 256, (8, traffic.height, traffic.width, 3), np.uint8)
    )
    start = time.perf_counter()
    for index in range(traffic.frames):
        if traffic.fps:
            time.sleep(max(0.0, start + index / traffic.fps - time.perf_counter()))
        yield pictures[index % len(pictures)]
