"""Interlaced sources: two half pictures of different moments in one frame, which a network would melt together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

import av
from av.video.stream import VideoStream

_PROGRESSIVE_ORDERS: Final = (0, 1)  # AVFieldOrder: unknown, progressive
_EXAMINED: Final = 60


def is_interlaced(stream: VideoStream, first: av.VideoFrame, further: Iterable[av.VideoFrame]) -> bool:
    """Tell whether the frames are interlaced: the file says so, and the pictures do not deny it.

    Many files are flagged that hold whole pictures. FFmpeg's filter `idet`, which compares the lines of the two fields
    within and between frames, is asked about the first frames of a file that is flagged; no other is examined.
    """
    flagged = first.interlaced_frame or int(stream.codec_context.field_order) not in _PROGRESSIVE_ORDERS
    if not flagged:
        return False
    counts = {"tff": 0.0, "bff": 0.0, "progressive": 0.0}
    for metadata in _examined(stream, islice(chain([first], further), _EXAMINED)):
        counts = {kind: float(metadata[f"lavfi.idet.multiple.{kind}"]) for kind in counts}
    return counts["tff"] + counts["bff"] > 0 or counts["progressive"] == 0


def _examined(stream: VideoStream, frames: Iterable[av.VideoFrame]) -> Iterator[dict[str, str]]:
    graph = av.filter.Graph()
    graph.link_nodes(graph.add_buffer(template=stream), graph.add("idet"), graph.add("buffersink")).configure()
    for frame in chain(frames, [None]):
        graph.push(frame)
        while True:
            try:
                yield graph.pull().metadata
            except (av.error.BlockingIOError, av.error.EOFError):
                break
