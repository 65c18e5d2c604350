"""Which streams a container can hold."""

from __future__ import annotations

from io import BytesIO

import av
from av.stream import AttachmentStream, Disposition, Stream


def is_cover(stream: Stream) -> bool:
    """Whether it is a picture of the whole, such as a poster."""
    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def codec_name(stream: Stream) -> str:
    """Name what is in a stream, for people."""
    if isinstance(stream, AttachmentStream):
        return stream.name or "attachment"
    return stream.codec_context.name if stream.codec_context is not None else str(stream.name)


def holds(muxer: str, stream: Stream) -> bool:
    """Whether the container takes the stream's codec."""
    if isinstance(stream, AttachmentStream):
        return muxer == "matroska"
    if is_cover(stream):
        return muxer in ("matroska", "mp4")  # FFmpeg drops it in MOV without a word
    with av.open(BytesIO(), "w", format=muxer) as trial:
        try:
            trial.add_stream_from_template(stream, opaque=True)
        except ValueError:
            return False
        return True
