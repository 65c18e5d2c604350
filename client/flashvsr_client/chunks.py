"""How a stream of frames is cut into requests. Integers and views only."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import chain, islice, repeat

import numpy as np
import numpy.typing as npt

from flashvsr_client.errors import InputError

Frame = npt.NDArray[np.uint8 | np.uint16]
"""One picture: RGB [h, w, 3]; uint8, or uint16 where 65535 is white."""
Frames = npt.NDArray[np.uint8 | np.uint16]
"""Consecutive pictures: RGB [T, h, w, 3]; uint8, or uint16 where 65535 is white."""


def sizes(first: int, further: int, limit: int) -> Iterator[int]:
    """Give the numbers of frames of request 0, 1, 2, ... without end; none is above ``limit``.

    The engine wants ``first`` frames before its first output and ``further`` for each one after; a request that
    carries exactly these is answered without delay. What is above ``limit`` is sent in several requests.
    """
    assert first > 0
    assert further > 0
    assert limit > 0
    return chain.from_iterable(_split(wanted, limit) for wanted in chain([first], repeat(further)))


def chunked(
    frames: Iterable[Frame], width: int, height: int, counts: Iterable[int], depth: int = 8
) -> Generator[Frames, None, None]:
    """Stack ``frames`` of ``width`` x ``height`` into arrays of ``counts`` frames; the last one may be shorter.

    ``depth`` is 8 for uint8 and 16 for uint16.
    Raises :class:`InputError` for a frame of another size or type, with its number.
    """
    source = enumerate(frames)
    wanted = (height, width, 3), np.dtype(f"uint{depth}")
    for count in counts:
        batch = [_checked(frame, index, *wanted) for index, frame in islice(source, count)]
        if batch:
            yield np.stack(batch)
        if len(batch) < count:
            return


def _split(wanted: int, limit: int) -> list[int]:
    whole, rest = divmod(wanted, limit)
    return [limit] * whole + [rest] * (rest > 0)


def _checked(frame: Frame, index: int, shape: tuple[int, ...], sample: np.dtype[np.unsignedinteger]) -> Frame:
    if frame.shape != shape or frame.dtype != sample:
        raise InputError(
            f"frame {index} is {frame.dtype} {list(frame.shape)}: this stream takes {sample} {list(shape)}; "
            "open another session for another size or depth"
        )
    return frame
