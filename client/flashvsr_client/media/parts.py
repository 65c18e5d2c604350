"""A film that is encoded in parts: each a file that decodes alone, all joined by copying their packets.

Parts are NUT files, which keep any codec and any times to the tick. The times in them count from their first frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from flashvsr_client.chunks import Frame
from flashvsr_client.config import Encoding
from flashvsr_client.errors import OutputError
from flashvsr_client.media import provenance
from flashvsr_client.media.decode import Moment
from flashvsr_client.media.encode import FilmWriter, output_errors, writing_errors
from flashvsr_client.media.film import Film
from flashvsr_client.media.output import muxer_of
from flashvsr_client.media.passthrough import carried_over
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.media.source import opened
from flashvsr_client.media.whole import whole_or_nothing
from flashvsr_client.merge import DecodeTimes, reorder_delay

_MUXER: Final = "nut"
SUFFIX: Final = ".nut"
if TYPE_CHECKING:
    Packet = av.Packet[VideoStream]  # generic in PyAV's stubs only


@dataclass(frozen=True, slots=True)
class Part:
    """What joining needs to know of a finished part. Times are in ticks of the film."""

    frames: int
    pts: int
    """Of its first frame."""
    end: int
    """When its last frame ends."""
    delay: int
    """Packets by which decoding runs ahead of showing."""
    bytes: int


class PartWriter:
    """Takes the upscaled frames of one part, in order. Made by :func:`writing_part`."""

    def __init__(self, video: FilmWriter) -> None:
        self._video = video
        self.frames = 0
        self.pts = 0
        self.end = 0

    def write(self, picture: Frame, moment: Moment) -> None:
        """Encode one frame, [h, w, 3]. Raises :class:`OutputError`."""
        if self.frames == 0:
            self.pts = moment.pts
        self._video.write(picture, Moment(moment.pts - self.pts, moment.duration))
        self.frames += 1
        self.end = moment.pts + moment.duration


@contextmanager
def writing_part(path: Path, info: VideoInfo, made: Film) -> Iterator[PartWriter]:
    """Open a part of the film ``made``; the file is there, whole, when the block ends well.

    Raises :class:`OutputError`.
    """
    with ExitStack() as stack:
        unfinished = stack.enter_context(whole_or_nothing(path))
        stack.enter_context(output_errors(path, made))
        output = stack.enter_context(av.open(f"file:{unfinished.resolve()}", "w", format=_MUXER))
        video = FilmWriter(output, made, info)
        video.start()
        yield PartWriter(video)
        video.finish()


def finished(path: Path, writer: PartWriter) -> Part:
    """Read the packets of a part that was written, and say what joining needs. Raises :class:`OutputError`."""
    with _read(path) as (packets, _):
        pts = [cast("int", packet.pts) for packet in packets]
    if len(pts) != writer.frames:
        raise OutputError(f"{path} has {len(pts)} of {writer.frames} frames: is the disk sound? Run the job again")
    return Part(writer.frames, writer.pts, writer.end, reorder_delay(pts), path.stat().st_size)


def join(target: Path, info: VideoInfo, parts: Sequence[tuple[Path, Part]], encoding: Encoding, tag: str | None) -> int:
    """Write ``target`` from parts in the film's order, with the source's other streams; give the number of frames.

    Nothing is encoded again. ``tag`` says in the metadata what it was made with. Where the parts leave frames out, the
    frame before is shown until the next one. Raises :class:`OutputError`; ``target`` is then as it was.
    """
    with ExitStack() as stack:
        unfinished = stack.enter_context(whole_or_nothing(target))
        source = stack.enter_context(opened(info.path, info.reading)) if not info.pictures else None
        stack.enter_context(writing_errors(target))
        output = stack.enter_context(av.open(f"file:{unfinished.resolve()}", "w", format=muxer_of(target)))
        stream = _add_copy(output, parts[0][0], info)
        copies = carried_over(source, output, stream, info, target, encoding) if source is not None else None
        if tag is not None:
            provenance.put(output, tag)
        output.start_encoding()
        for packet in _packets(parts, info.time_base):
            due = cast("int", packet.pts) * info.time_base
            packet.stream = stream
            output.mux(packet)
            if copies is not None:
                copies.until(due)
        if copies is not None:
            copies.until(None)
    return sum(part.frames for _, part in parts)


def _packets(parts: Sequence[tuple[Path, Part]], time_base: Fraction) -> Iterator[Packet]:
    """Give the packets of all parts with their times in the film: one part's times are in memory at a time."""
    first = parts[0][1]
    clock = DecodeTimes(
        first.pts, max(1, (first.end - first.pts) // first.frames), max(part.delay for _, part in parts)
    )
    for place, (path, part) in enumerate(parts):
        end = parts[place + 1][1].pts if place + 1 < len(parts) else part.end
        with _read(path) as (packets, _):
            ticks = [round(cast("int", packet.pts) * packet.time_base / time_base) for packet in packets]
        shift = part.pts - min(ticks)
        shown = [tick + shift for tick in ticks]
        following = dict(zip(sorted(shown), [*sorted(shown)[1:], end], strict=True))
        with _read(path) as (packets, _):
            for packet, pts, dts in zip(packets, shown, clock.of(shown), strict=True):
                packet.time_base = time_base
                packet.pts, packet.dts, packet.duration = pts, dts, following[pts] - pts
                yield packet


@contextmanager
def _read(path: Path) -> Iterator[tuple[Iterator[Packet], VideoStream]]:
    try:
        with av.open(f"file:{path.resolve()}") as container:
            stream = container.streams.video[0]
            yield (packet for packet in container.demux(stream) if packet.size), stream
    except av.error.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"{path}, a finished part, cannot be read ({reason}): delete it and resume the job"
        ) from error


def _add_copy(output: OutputContainer, path: Path, info: VideoInfo) -> VideoStream:
    with _read(path) as (_, part):
        stream = output.add_stream_from_template(part)
    stream.time_base = info.time_base
    return stream
