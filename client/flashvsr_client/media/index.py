"""The times of all frames of a file, read from its packets without decoding: what makes a seek exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from av.stream import Discard

from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.media.source import opened, video_stream

Ticks = npt.NDArray[np.int64]
_SAFE: Final = frozenset(("mov", "mp4", "matroska", "webm"))
"""Containers with a packet for each frame, its time in the packet, and seeking by time."""


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """Of the part of a file that is read, in ticks of its own clock; 8 bytes a frame."""

    times: Ticks
    """Of every frame, in the order shown."""
    keys: Ticks
    """Of the frames at which decoding can begin."""

    def __len__(self) -> int:
        return len(self.times)

    def entry(self, number: int) -> int | None:
        """Time of the last key frame at or before frame ``number``; None when there is none."""
        before = int(np.searchsorted(self.keys, self.times[number], side="right"))
        return int(self.keys[before - 1]) if before else None


def index_of(info: VideoInfo) -> FrameIndex | None:
    """Read all packets of the video, once; the data is read too, which takes as long as copying the file.

    None where packets do not tell the frames: other containers than MOV, MP4, Matroska and WebM, packets without
    times or with equal ones, standard input; and for folders, which need none.
    """
    if info.pipe is not None or info.pictures:
        return None
    times, keys = [], []
    with opened(info.path, info.reading) as container:
        if not _SAFE & set(container.format.name.split(",")):
            return None
        stream = video_stream(container, info.path)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        for packet in container.demux(stream):
            if not packet.size or packet.is_discard:
                continue
            if packet.pts is None:
                return None
            times.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
    ordered = np.sort(np.array(times, np.int64))
    if np.any(np.diff(ordered) == 0):
        return None
    first, end = info.window
    kept = (ordered >= (ordered[:1] if first is None else first)) & (end is None or ordered < end)
    return FrameIndex(ordered[kept], np.sort(np.array(keys, np.int64)))
