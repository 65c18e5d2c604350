"""Any run of a film's frames, and how many there are."""

from __future__ import annotations

from collections.abc import Generator
from itertools import islice

from flashvsr_client.media.decode import TimedFrame, decode
from flashvsr_client.media.probe import VideoInfo


def span(info: VideoInfo, first: int, stop: int) -> Generator[TimedFrame, None, None]:
    """Give frames first .. stop - 1 of the film. Raises :class:`InputError` as :func:`decode` does."""
    yield from islice(decode(info), first, stop)


def count(info: VideoInfo) -> int:
    """Decode the whole film and say how many frames it has: no header is to be trusted with that.

    It is a small part of the work to come, and tells of a damaged film before that work. Raises :class:`InputError`.
    """
    return sum(1 for _ in decode(info))
