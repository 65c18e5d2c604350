"""Decoded frames as FFmpeg gives them, and the ways to notice that a file is not whole."""

from __future__ import annotations

from collections.abc import Iterator

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from flashvsr_client.errors import InputError
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.media.source import opened, video_stream


def raw_frames(info: VideoInfo, entry: int | None = None) -> Iterator[av.VideoFrame]:
    """Decode the video, from its beginning or from the key frame at tick ``entry``.

    Raises :class:`InputError` for a file that is damaged or cut short.
    """
    with opened(info.path, info.reading, info.pipe) as container:
        stream = video_stream(container, info.path)
        if entry is not None:
            container.seek(entry, stream=stream)
        yield from _decoded(container, stream, info, whole=entry is None)


def _decoded(
    container: InputContainer, stream: VideoStream, info: VideoInfo, *, whole: bool
) -> Iterator[av.VideoFrame]:
    packets = frames = 0
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise _damaged(info, frames, "a broken packet")
        packets += bool(packet.size)
        try:
            decoded = packet.decode()
        except av.error.FFmpegError as error:
            raise _damaged(info, frames, error.strerror or type(error).__name__) from error
        frames += len(decoded)
        yield from decoded
    # an index that is read from the header lists every packet; one that grows while reading lists no more than came
    if whole and packets < (listed := len(stream.index_entries)):
        raise _damaged(info, frames, f"its index lists {listed} frames")


def _damaged(info: VideoInfo, frames: int, reason: str) -> InputError:
    return InputError(
        f"{info.path} is damaged or cut short after {frames} frames ({reason}): repair it or fetch it again"
    )
