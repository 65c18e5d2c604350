"""Films whose every frame says whose it is and where it belongs, and the check of what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

WIDTH: Final = 32
HEIGHT: Final = 24
SCALE: Final = 2
FILM: Final = (0, 2)
"""Row and column of the pixel with the film's number."""
NUMBER: Final = (0, 4)
"""Row and column of the pixel with the frame's."""


Picture = npt.NDArray[np.uint8]


class WrongFrameError(AssertionError):
    """A frame that came back is not the one that was due."""


@dataclass(frozen=True)
class Film:
    """So many frames of noise, under a number of 1 to 65535."""

    number: int
    length: int

    def frames(self) -> Iterator[Picture]:
        """Give the frames, RGB [h, w, 3]."""
        for index in range(self.length):
            yield self.frame(index)

    def frame(self, index: int) -> Picture:
        """Give one of them; the first byte is 0, which breaks no engine."""
        picture = np.random.default_rng((self.number, index)).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        picture[0, 0] = 0
        picture[FILM] = _digits(self.number)
        picture[NUMBER] = _digits(index)
        return picture

    def check(self, index: int, given: npt.NDArray[np.generic]) -> None:
        """Raise :class:`WrongFrameError` unless ``given`` is frame ``index`` as the engine gives it."""
        expected = self.frame(index).repeat(SCALE, axis=0).repeat(SCALE, axis=1)
        if not np.array_equal(given, expected):
            film, number = _read(given, FILM), _read(given, NUMBER)
            wrong = int((given != expected).any(axis=-1).sum()) if given.shape == expected.shape else -1
            raise WrongFrameError(
                f"film {self.number}, frame {index}: got what says film {film}, frame {number} ({wrong} pixels differ)"
            )


def _digits(number: int) -> tuple[int, int, int]:
    return number >> 16 & 255, number >> 8 & 255, number & 255


def _read(picture: npt.NDArray[np.generic], place: tuple[int, int]) -> int:
    high, middle, low = (int(part) for part in picture[place[0] * SCALE, place[1] * SCALE])
    return high << 16 | middle << 8 | low
