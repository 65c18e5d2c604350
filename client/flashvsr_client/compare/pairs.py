"""Films side by side: what is shown of each, at the size of the reference, frame by frame."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

import numpy as np

from flashvsr_client.chunks import Frame
from flashvsr_client.config import Reading
from flashvsr_client.errors import InputError
from flashvsr_client.media.decode import decode
from flashvsr_client.media.probe import VideoInfo, probe

LEAST_SIDE: Final = 11
"""Of a picture that SSIM can be had of."""


@dataclass(frozen=True, slots=True)
class Film:
    """A film, and the size at which it is compared."""

    info: VideoInfo
    width: int
    height: int

    @property
    def note(self) -> str | None:
        """What is done to its frames before they are compared."""
        size = f"{self.info.width}x{self.info.height}"
        if self.width > self.info.width:
            return (
                f"{self.info.path} is {size}: enlarged {self.width // self.info.width} times by bicubic interpolation"
            )
        if self.width < self.info.width:
            return f"{self.info.path} is {size}: shrunk to {self.width}x{self.height} by bicubic interpolation"
        return None


def lined_up(a: Path, b: Path, reference: Path | None) -> list[Film]:
    """Open A, B and the reference, if there is one, at one size: the reference's, without one that of A.

    With a reference A and B may be smaller than it by a whole factor; without one B may be larger than A by one.
    Raises :class:`InputError`.
    """
    paths = [a, b] if reference is None else [a, b, reference]
    infos = [probe(path, Reading(hdr="tonemap")) for path in paths]
    base = infos[0] if reference is None else infos[-1]
    if min(base.width, base.height) < LEAST_SIDE:
        raise InputError(
            f"{base.path} is {base.width}x{base.height}: films of {LEAST_SIDE} pixels and more are compared"
        )
    for info in infos:
        low, high = (base, info) if reference is None else (info, base)
        if high.width % low.width or high.width // low.width * low.height != high.height:
            raise InputError(
                f"{info.path} is {info.width}x{info.height} and {base.path} {base.width}x{base.height}: "
                f"{high.path} has to be of the same size as {low.path}, or larger by a whole factor"
            )
    return [Film(info, base.width, base.height) for info in infos]


def frames(films: Sequence[Film]) -> Generator[tuple[Frame, ...], None, None]:
    """Give the frames of all films together, uint8 RGB, all of one size. Raises :class:`InputError`."""
    with ExitStack() as stack:
        streams = [stack.enter_context(closing(decode(film.info, depth=8))) for film in films]
        counts = [0] * len(films)
        for together in zip_longest(*streams):
            counts = [count + (frame is not None) for count, frame in zip(counts, together, strict=True)]
            if None in together:
                raise _uneven(films, counts, streams)
            yield tuple(
                resized(frame.picture, film.width, film.height) for frame, film in zip(together, films, strict=True)
            )


def resized(picture: Frame, width: int, height: int) -> Frame:
    """Bicubic interpolation (a = -0.5, with a wider kernel when it shrinks), by Pillow."""
    from PIL import Image

    if picture.shape[:2] == (height, width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def _uneven(films: Sequence[Film], counts: list[int], streams: Sequence[Iterable[object]]) -> InputError:
    totals = [count + sum(1 for _ in stream) for count, stream in zip(counts, streams, strict=True)]
    said = ", ".join(f"{film.info.path} has {total} frames" for film, total in zip(films, totals, strict=True))
    return InputError(f"{said}: films are compared frame by frame; give those of the same frames")
