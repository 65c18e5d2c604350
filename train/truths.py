"""Clips with a known truth: held-out photographs at rest and under a moving camera, and films at half size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from train.metrics import Clip
from train.photos import Picture, read_picture
from train.sources import read_sources, split

FILM_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov")
ARRAY_SUFFIX = ".npy"


@dataclass(frozen=True, slots=True)
class Case:
    """kind: "stills", "panning" or "clips". truth: sides are multiples of the scale."""

    kind: str
    name: str
    truth: Clip


def photograph_cases(folder: Path, held_out: int, side: int, frames: int, scale: int) -> Iterator[Case]:
    """Each held-out source's whole photograph: its middle at rest, and a window that moves 2 pixels a frame.

    Windows are at most `side` pixels wide and 3/4 of that high, uninterpolated.
    """
    for photograph in split(read_sources(folder), held_out).held_out:
        if photograph.name.endswith("_d.jpg"):
            continue
        picture = read_picture(folder / photograph.name)
        name = Path(photograph.name).stem
        yield Case("stills", name, np.repeat(_window(picture, side, scale, 0, 0)[None], frames, axis=0))
        steps = [2 * (t - frames // 2) for t in range(frames)]
        yield Case("panning", name, np.stack([_window(picture, side, scale, s, s // 2) for s in steps]))


def film_cases(folder: Path, frames: int, scale: int) -> Iterator[Case]:
    """The first frames of every film (or .npy array of frames) of a folder, shrunk by 2 to rid them of coding."""
    for path in sorted(folder.iterdir()):
        if path.suffix == ARRAY_SUFFIX:
            film: Clip = np.load(path)[:frames]
        elif path.suffix in FILM_SUFFIXES:
            film = _decode(path, frames)
        else:
            continue
        height, width = (size // (2 * scale) * scale for size in film.shape[1:3])
        yield Case("clips", path.stem, _resized(film[:, : 2 * height, : 2 * width], width, height))


def shrink(truth: Clip, scale: int) -> Clip:
    """The network's input: the truth's width and height over the scale, bicubic."""
    return _resized(truth, truth.shape[2] // scale, truth.shape[1] // scale)


def enlarge(clip: Clip, scale: int) -> Clip:
    """What the network is compared with: bicubic, to `scale` times the width and height."""
    return _resized(clip, clip.shape[2] * scale, clip.shape[1] * scale)


def _resized(clip: Clip, width: int, height: int) -> Clip:
    images = (Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC) for frame in clip)
    return np.stack([np.array(image) for image in images])


def _window(picture: Picture, side: int, scale: int, right: int, down: int) -> Picture:
    """A window near the middle, moved so far as the picture reaches."""
    height, width = picture.shape[:2]
    w, h = (min(side, width) // scale * scale, min(side * 3 // 4, height) // scale * scale)
    x = min(max((width - w) // 2 + right, 0), width - w)
    y = min(max((height - h) // 2 + down, 0), height - h)
    return picture[y : y + h, x : x + w]


def _decode(path: Path, frames: int) -> Clip:
    import av  # only for films; arrays do without

    with av.open(path) as container:
        decoded = []
        for frame in container.decode(video=0):
            decoded.append(frame.to_ndarray(format="rgb24"))
            if len(decoded) == frames:
                break
    return np.stack(decoded)
