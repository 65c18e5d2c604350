"""Writing the output: H.264 with the source's frame times and colours, and its audio beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream

from flashvsr_client.chunks import Frame
from flashvsr_client.config import Encoding
from flashvsr_client.errors import OutputError
from flashvsr_client.media.audio import AudioCopy
from flashvsr_client.media.color import Converter
from flashvsr_client.media.decode import Moment
from flashvsr_client.media.output import MUXERS, whole_or_nothing
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.media.source import opened

ENCODER: Final = "libx264"
THREADS: Final = "8"  # x264's packets depend on their number, which by itself depends on the cores that are free


def pixel_format(width: int, height: int) -> str:
    """Say how the output is stored: 4:2:0 as every player expects, or 4:4:4 where a side is odd.

    4:2:0 has no odd sizes, and no row or column of the picture is dropped or added to fit.
    """
    return "yuv444p" if width % 2 or height % 2 else "yuv420p"


class VideoWriter:
    """Takes the upscaled frames of one file, in order. Made by :func:`writing`."""

    def __init__(self, output: OutputContainer, stream: VideoStream, info: VideoInfo, audio: AudioCopy | None) -> None:
        self._output = output
        self._stream = stream
        self._info = info
        self._audio = audio
        self._converter = Converter(info.colors)
        self._format = pixel_format(stream.width, stream.height)

    def write(self, picture: Frame, moment: Moment) -> None:
        """Encode one frame, uint8 RGB [h, w, 3]. Raises :class:`OutputError`."""
        frame = self._converter.from_rgb(picture, self._format)
        frame.time_base = self._info.time_base
        frame.pts, frame.duration = moment.pts, moment.duration
        self._output.mux(self._stream.encode(frame))
        if self._audio is not None:
            self._audio.until(moment.pts * self._info.time_base)

    def finish(self) -> None:
        """Encode what the encoder still holds, and copy the rest of the audio."""
        self._output.mux(self._stream.encode(None))
        if self._audio is not None:
            self._audio.until(None)


@contextmanager
def writing(target: Path, info: VideoInfo, width: int, height: int, encoding: Encoding) -> Iterator[VideoWriter]:
    """Open the output for frames of ``width`` x ``height``; the file is there, whole, when the block ends well.

    Raises :class:`OutputError`, here for what can be known before the first frame.
    """
    with ExitStack() as stack:
        part = stack.enter_context(whole_or_nothing(target))
        copies = encoding.audio and bool(info.audio_codecs)
        source = stack.enter_context(opened(info.path)) if copies else None
        stack.enter_context(output_errors(target))  # inside the source's block: FFmpeg's errors below are the output's
        output = stack.enter_context(av.open(f"file:{part.resolve()}", "w", format=MUXERS[target.suffix.lower()]))
        stream = add_video(output, info, width, height, encoding)
        audio = (
            AudioCopy(source, output, info.path, target, info.origin * info.time_base) if source is not None else None
        )
        output.start_encoding()
        writer = VideoWriter(output, stream, info, audio)
        yield writer
        writer.finish()


def add_video(output: OutputContainer, info: VideoInfo, width: int, height: int, encoding: Encoding) -> VideoStream:
    """Add the encoder's stream to an output. Parts of one film that are encoded apart get equal headers."""
    options = {"crf": str(encoding.crf), "preset": encoding.preset, "threads": THREADS}
    stream = output.add_stream(ENCODER, rate=info.rate, options=options, width=width, height=height)
    assert isinstance(stream, VideoStream)
    stream.pix_fmt = pixel_format(width, height)
    context = stream.codec_context
    context.time_base = info.time_base
    context.flags |= Flags.frame_duration
    context.sample_aspect_ratio = info.pixel_aspect
    context.colorspace = info.colors.matrix
    context.color_range = info.colors.range
    context.color_primaries = info.colors.primaries
    context.color_trc = info.colors.transfer
    return stream


@contextmanager
def output_errors(target: Path) -> Iterator[None]:
    """Turn FFmpeg's errors in the block into :class:`OutputError` for ``target``."""
    try:
        yield
    except av.error.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"cannot write {target} ({reason}): free some space, or choose another place or container"
        ) from error
