"""One frame before and after: the input by bicubic enlargement, and the result."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import closing
from pathlib import Path
from threading import Lock
from typing import Final

from PIL import Image

from flashvsr_client.chunks import Frame
from flashvsr_client.config import Reading
from flashvsr_client.errors import InputError
from flashvsr_client.media.decode import decode
from flashvsr_client.media.enlarge import enlarged
from flashvsr_client.media.index import FrameIndex, index_of
from flashvsr_client.media.probe import VideoInfo, probe

_KEPT: Final = 12  # pairs of pictures


class Comparison:
    """The frames of a finished job. Safe to use from several threads."""

    def __init__(self, source: Path, result: Path, frames: int, folder: Path, reading: Reading | None = None) -> None:
        """``frames``: how many; pictures go into ``folder``, which exists. Raises :class:`InputError`."""
        self.frames = frames
        self._source = probe(source, reading)
        self._result = probe(result, Reading(hdr="keep"))
        self._indices = index_of(self._source), index_of(self._result)
        self._folder = folder
        self._pairs: OrderedDict[int, tuple[Path, Path]] = OrderedDict()
        self._lock = Lock()

    def pair(self, number: int) -> tuple[Path, Path]:
        """Give frame ``number``, from 0, before and after, as JPEG of the result's size.

        Raises :class:`InputError` for a number that is none, and for files that are gone.
        """
        if not 0 <= number < self.frames:
            raise InputError(f"frame {number + 1}: give 1 to {self.frames}")
        with self._lock:
            if number not in self._pairs:
                self._pairs[number] = self._written(number)
                self._forget()
            self._pairs.move_to_end(number)
            return self._pairs[number]

    def _written(self, number: int) -> tuple[Path, Path]:
        low, high = (
            _frame(info, number, index) for info, index in zip((self._source, self._result), self._indices, strict=True)
        )
        height, width = high.shape[:2]
        before, after = (self._folder / f"{number + 1}-{name}.jpg" for name in ("before", "after"))
        _save(enlarged(low, width, height), before)
        _save(high, after)
        return before, after

    def _forget(self) -> None:
        while len(self._pairs) > _KEPT:
            for path in self._pairs.popitem(last=False)[1]:
                path.unlink(missing_ok=True)


def _frame(info: VideoInfo, number: int, index: FrameIndex | None) -> Frame:
    with closing(decode(info, number, 1, index, depth=8)) as frames:
        found = next(frames, None)
    if found is None:
        raise InputError(f"{info.path.name} has no frame {number + 1}")
    return found.picture


def _save(picture: Frame, path: Path) -> None:
    Image.fromarray(picture).save(path, quality=95, subsampling=0)
