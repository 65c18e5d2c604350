"""Any run of a film's frames, and how many there are."""

from __future__ import annotations

from collections.abc import Generator

from flashvsr_client.media.decode import TimedFrame, decode
from flashvsr_client.media.index import FrameIndex
from flashvsr_client.media.probe import VideoInfo


def span(
    info: VideoInfo, first: int, stop: int, index: FrameIndex | None, depth: int
) -> Generator[TimedFrame, None, None]:
    """Give frames first .. stop - 1 of the film. Raises :class:`InputError` as :func:`decode` does."""
    yield from decode(info, first, stop - first, index, depth)


def count(info: VideoInfo, index: FrameIndex | None) -> int:
    """Say how many frames the film has, by its index or its pictures; else decode it, as no header can be trusted.

    Decoding is a small part of the work to come, and tells of a damaged film before that work. Raises
    :class:`InputError`.
    """
    if index is not None:
        return len(index)
    return len(info.pictures) or sum(1 for _ in decode(info))
