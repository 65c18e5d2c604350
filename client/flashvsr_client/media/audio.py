"""Audio as it is: packets go from the input to the output untouched."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from flashvsr_client.errors import InputError, OutputError
from flashvsr_client.media.output import MUXERS


class AudioCopy:
    """Copies every audio stream of ``source``, the file at ``path``, into ``output``, step by step with the video.

    It reads the file by a handle of its own, so that no packet has to wait in the video's pipeline.
    """

    def __init__(
        self, source: InputContainer, output: OutputContainer, path: Path, target: Path, origin: Fraction
    ) -> None:
        """Add the streams to ``output``. ``origin``: seconds at which the source's clock starts.

        Raises :class:`OutputError` where the container cannot hold a codec.
        """
        self._output = output
        self._origin = origin
        self._streams = {stream.index: _added(stream, output, target) for stream in source.streams.audio}
        self._packets = _packets(source, path)
        self._waiting: av.Packet[AudioStream] | None = next(self._packets, None)

    def until(self, seconds: Fraction | None) -> None:
        """Copy what is due before that time of the output; None: all the rest."""
        while (packet := self._waiting) is not None:
            due = (packet.dts if packet.dts is not None else packet.pts or 0) * packet.time_base - self._origin
            if seconds is not None and due > seconds:
                return
            self._copy(packet)
            self._waiting = next(self._packets, None)

    def _copy(self, packet: av.Packet[AudioStream]) -> None:
        shift = round(self._origin / packet.time_base)
        if packet.pts is not None:
            packet.pts -= shift
        if packet.dts is not None:
            packet.dts -= shift
        packet.stream = self._streams[packet.stream_index]
        self._output.mux(packet)


def _packets(source: InputContainer, path: Path) -> Iterator[av.Packet[AudioStream]]:
    if not source.streams.audio:
        return
    try:
        for packet in source.demux(*source.streams.audio):
            if packet.size:  # PyAV ends each stream with an empty packet
                yield cast("av.Packet[AudioStream]", packet)
    except av.error.FFmpegError as error:
        raise InputError(f"{path}: its audio is damaged ({error.strerror}): repair it, or give --no-audio") from error


def _added(stream: AudioStream, output: OutputContainer, target: Path) -> AudioStream:
    try:
        copy = output.add_stream_from_template(stream)
    except ValueError as error:
        others = [suffix for suffix, muxer in MUXERS.items() if _holds(muxer, stream)]
        rename = f"name the output {' or '.join(others)}, or " if others else ""
        raise OutputError(
            f"{target.suffix} cannot hold the input's audio ({stream.codec_context.name}): {rename}give --no-audio"
        ) from error
    if language := stream.metadata.get("language"):
        copy.metadata["language"] = language
    copy.disposition = stream.disposition
    return copy


def _holds(muxer: str, stream: AudioStream) -> bool:
    with av.open(BytesIO(), "w", format=muxer) as trial:
        try:
            trial.add_stream_from_template(stream)
        except ValueError:
            return False
        return True
