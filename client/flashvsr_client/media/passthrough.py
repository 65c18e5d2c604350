"""What goes from the input to the output untouched: audio, subtitles, attachments, covers, chapters, metadata."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import av
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Stream

from flashvsr_client.config import Encoding
from flashvsr_client.errors import InputError, OutputError
from flashvsr_client.media.holding import codec_name, holds, is_cover
from flashvsr_client.media.output import MUXERS, muxer_of
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.media.source import opened, video_stream

if TYPE_CHECKING:
    from av.container.core import Chapter  # known to PyAV's stubs only

_TECHNICAL: Final = frozenset(
    ("major_brand", "minor_version", "compatible_brands", "encoder", "timecode", "duration", "vendor_id", "rotate")
)
"""Metadata of a file's making, which says nothing of its content and would be wrong of another file."""
_REMEDIES: Final = {"audio": "--no-audio", "subtitle": "--no-subtitles"}


def chosen(source: InputContainer, encoding: Encoding) -> Iterator[Stream]:
    """Give the streams that are to be carried over, beside the video."""
    for stream in source.streams:
        if stream.type == "audio":
            wanted = encoding.audio
        elif stream.type == "subtitle":
            wanted = encoding.subtitles
        else:
            wanted = encoding.attachments and (stream.type == "attachment" or is_cover(stream))
        if wanted:
            yield stream


def kept_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Leave out what is about the input file itself."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _TECHNICAL and not key.startswith(("_STATISTICS", "BPS", "NUMBER_OF_", "DURATION-"))
    }


class StreamCopies:
    """Copies streams into an output, step by step with the video.

    It reads the file by a handle of its own, so that no packet has to wait in the video's pipeline.
    """

    def __init__(
        self, source: InputContainer, output: OutputContainer, info: VideoInfo, target: Path, encoding: Encoding
    ) -> None:
        """Add the streams to ``output``. Raises :class:`OutputError` where the container cannot hold one."""
        self._output = output
        self._info = info
        self._origin = info.origin * info.time_base
        self._window = tuple(None if tick is None else tick * info.time_base for tick in info.window)
        self._streams: dict[int, Stream] = {}
        for stream in chosen(source, encoding):
            if (copy := _added(stream, output, target, info.path)) is not None:
                self._streams[stream.index] = copy
        _add_chapters(source, output, self._origin, self._window[1])
        output.metadata.update(kept_metadata(source.metadata))
        read = [stream for stream in source.streams if stream.index in self._streams]
        self._packets = self._read(source, read)
        self._waiting: av.Packet[Any] | None = None

    def until(self, seconds: Fraction | None) -> None:
        """Copy what is due before that time of the output; None: all the rest."""
        packet = self._waiting or next(self._packets, None)
        while packet is not None:
            if seconds is not None and _time(packet) - self._origin > seconds:
                break
            self._copy(packet)
            packet = next(self._packets, None)
        self._waiting = packet

    def _copy(self, packet: av.Packet[Any]) -> None:
        shift = round(self._origin / packet.time_base)
        if packet.pts is not None:
            packet.pts -= shift
        if packet.dts is not None:
            packet.dts -= shift
        packet.stream = self._streams[packet.stream_index]
        self._output.mux(packet)

    def _read(self, source: InputContainer, streams: list[Stream]) -> Iterator[av.Packet[Any]]:
        if not streams:
            return
        first, end = self._window
        try:
            for packet in source.demux(*streams):
                if not packet.size:  # PyAV ends each stream with an empty packet
                    continue
                cover = is_cover(packet.stream)
                if cover or ((first is None or _time(packet) >= first) and (end is None or _time(packet) < end)):
                    if cover:
                        packet.pts = packet.dts = round(self._origin / packet.time_base)
                    yield packet
        except av.error.FFmpegError as error:
            raise InputError(
                f"{self._info.path}: its audio or subtitles are damaged ({error.strerror}): repair it, or give "
                "--no-audio or --no-subtitles"
            ) from error


def carried_over(
    source: InputContainer, output: OutputContainer, video: Stream, info: VideoInfo, target: Path, encoding: Encoding
) -> StreamCopies:
    """Take everything but the pictures from ``source``; ``video`` is the stream of ``output`` that has those.

    Call it before the header of ``output`` is written, and then :meth:`StreamCopies.until` along with the video.
    Raises :class:`OutputError` for what has no place.
    """
    shown = video_stream(source, info.path)
    video.metadata.update(kept_metadata(shown.metadata))
    video.disposition = shown.disposition
    return StreamCopies(source, output, info, target, encoding)


def _time(packet: av.Packet[Any]) -> Fraction:
    return (packet.dts if packet.dts is not None else packet.pts or 0) * packet.time_base


def _added(stream: Stream, output: OutputContainer, target: Path, path: Path) -> Stream | None:
    """Add a stream like this one; None for what is written whole, at once, and has no packets."""
    muxer = muxer_of(target)
    if not holds(muxer, stream):
        others = [suffix for suffix, other in MUXERS.items() if other != muxer and holds(other, stream)]
        rename = f"name the output {' or '.join(others)}, or " if others else ""
        what = "cover picture" if is_cover(stream) else stream.type
        raise OutputError(
            f"{target.suffix} cannot hold the input's {what} ({codec_name(stream)}): "
            f"{rename}give {_REMEDIES.get(stream.type, '--no-attachments')}"
        )
    if isinstance(stream, AttachmentStream):
        output.add_attachment(stream.name or "attachment", stream.mimetype or "application/octet-stream", stream.data)
        return None
    if is_cover(stream) and muxer == "matroska":
        _attach_cover(stream, output, path)
        return None
    copy = output.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(kept_metadata(stream.metadata))
    copy.disposition = stream.disposition
    return copy


def _attach_cover(stream: Stream, output: OutputContainer, path: Path) -> None:
    """Write a cover of the file at ``path`` as Matroska has it: as an attached file."""
    kind = {"mjpeg": "jpeg"}.get(codec_name(stream), codec_name(stream))
    name = stream.metadata.get("filename", f"cover.{'jpg' if kind == 'jpeg' else kind}")
    with opened(path) as container:
        packet = next((packet for packet in container.demux(container.streams[stream.index]) if packet.size), None)
    if packet is not None:
        output.add_attachment(name, stream.metadata.get("mimetype", f"image/{kind}"), bytes(packet))


def _add_chapters(source: InputContainer, output: OutputContainer, origin: Fraction, end: Fraction | None) -> None:
    moved: list[Chapter] = []
    for chapter in source.chapters():
        base = chapter["time_base"] or Fraction(1, 1000)
        first = max(chapter["start"] - round(origin / base), 0)
        last = chapter["end"] - round(origin / base)
        if end is not None:
            last = min(last, round((end - origin) / base))
        if first < last:
            moved.append({**chapter, "start": first, "end": last})
    if moved:
        output.set_chapters(moved)
