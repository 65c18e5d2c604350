"""Writing a film: a container or a stream of frames, with the source's frame times and colours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer

from flashvsr_client.chunks import Frame
from flashvsr_client.config import Encoding
from flashvsr_client.errors import OutputError
from flashvsr_client.media import codecs, provenance
from flashvsr_client.media.color import Converter
from flashvsr_client.media.decode import Moment
from flashvsr_client.media.film import Film, add_video, film
from flashvsr_client.media.output import MUXERS, NOWHERE, STREAMS, is_picture, is_pictures
from flashvsr_client.media.passthrough import StreamCopies, carried_over
from flashvsr_client.media.png import pictures_written
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.media.source import opened
from flashvsr_client.media.stdin import STANDARD
from flashvsr_client.media.whole import whole_or_nothing
from flashvsr_client.media.writer import Writer


class FilmWriter:
    """A :class:`Writer` of a container or of a stream of frames. Made by :func:`writing`."""

    def __init__(self, output: OutputContainer, made: Film, info: VideoInfo) -> None:
        self._output = output
        self._stream = add_video(output, made, info)
        self._info = info
        self._copies: StreamCopies | None = None
        self._converter = Converter(made.colors)
        self._steady = made.steady
        self._count = 0
        self._started = False
        self.pixel_format = made.pixel_format
        self.depth = codecs.depth_of(made.pixel_format)

    def carry_over(self, source: InputContainer, target: Path, encoding: Encoding) -> None:
        """Take everything but the pictures from ``source``. Raises :class:`OutputError` for what has no place."""
        self._copies = carried_over(source, self._output, self._stream, self._info, target, encoding)

    def describe(self, tag: str) -> None:
        """See :class:`Writer`."""
        assert not self._started
        provenance.put(self._output, tag)

    def start(self) -> None:
        """Open the encoder and write the header, once."""
        if not self._started:
            self._started = True
            self._output.start_encoding()

    def write(self, picture: Frame, moment: Moment) -> None:
        """See :class:`Writer`."""
        self.start()
        frame = self._converter.from_rgb(picture, self.pixel_format)
        frame.time_base, frame.pts, frame.duration = self._info.time_base, moment.pts, moment.duration
        if self._steady:
            frame.time_base, frame.pts, frame.duration = 1 / self._info.rate, self._count, 1
        self._count += 1
        self._output.mux(self._stream.encode(frame))
        if self._copies is not None:
            self._copies.until(moment.pts * self._info.time_base)

    def finish(self) -> None:
        """Encode what the encoder still holds, and copy the rest of the other streams."""
        self.start()
        self._output.mux(self._stream.encode(None))
        if self._copies is not None:
            self._copies.until(None)


@contextmanager
def writing(target: Path, info: VideoInfo, width: int, height: int, encoding: Encoding) -> Iterator[Writer]:
    """Open the output for frames of ``width`` x ``height``; it is there, whole, when the block ends well.

    Raises :class:`OutputError` and :class:`UsageError`, here for what can be known before the first frame.
    """
    if is_pictures(target) or is_picture(target):
        with pictures_written(target, info, encoding) as pictures:
            yield pictures
        return
    made = check_film(target, info, width, height, encoding)
    with ExitStack() as stack:
        if target == STANDARD:
            place = "pipe:1"
        elif target == NOWHERE:
            place = str(NOWHERE)
        else:
            place = f"file:{stack.enter_context(whole_or_nothing(target)).resolve()}"
        writer = stack.enter_context(_opened_writer(place, made, target, info, encoding))
        yield writer
        writer.finish()


def check_film(target: Path, info: VideoInfo, width: int, height: int, encoding: Encoding) -> Film:
    """Write the header into memory: whatever encoder or container refuse is known before any work.

    Raises :class:`OutputError` and :class:`UsageError`.
    """
    made = film(target, info, width, height, encoding)
    with _opened_writer(BytesIO(), made, target, info, encoding) as trial:
        trial.start()
    return made


@contextmanager
def _opened_writer(
    place: str | BytesIO, made: Film, target: Path, info: VideoInfo, encoding: Encoding
) -> Iterator[FilmWriter]:
    with ExitStack() as stack:
        copying = made.muxer in MUXERS.values() and info.pipe is None and not info.pictures
        source = stack.enter_context(opened(info.path, info.reading)) if copying else None
        stack.enter_context(output_errors(target, made))  # inside the source's block: errors below are the output's
        options = {"strict": "-1"} if made.muxer in STREAMS.values() else {}
        output = stack.enter_context(av.open(place, "w", format=made.muxer, container_options=options))
        writer = FilmWriter(output, made, info)
        if source is not None:
            writer.carry_over(source, target, encoding)
        yield writer


@contextmanager
def output_errors(target: Path, made: Film) -> Iterator[None]:
    """Turn FFmpeg's errors in the block into :class:`OutputError` for ``target``, which is encoded."""
    with writing_errors(target):
        try:
            yield
        except av.error.EncoderNotFoundError as error:
            raise OutputError(f"{made.codec} is not here: choose another -c") from error
        except av.error.FFmpegError as error:
            if "avcodec_open2" not in str(error):
                raise
            reason = error.strerror or type(error).__name__
            said = " ".join(f"{name}={value}" for name, value in made.options.items())
            raise OutputError(
                f"{made.codec} refuses {made.width}x{made.height} {made.pixel_format} {said} ({reason}): change the "
                "options, or choose another -c; a hardware encoder needs its hardware"
            ) from error


@contextmanager
def writing_errors(target: Path) -> Iterator[None]:
    """Turn FFmpeg's errors in the block into :class:`OutputError` for ``target``, into which nothing is encoded."""
    try:
        yield
    except av.error.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"cannot write {target} ({reason}): free some space, or choose another place or container"
        ) from error
