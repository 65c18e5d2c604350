"""Opening an input, and saying clearly what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from flashvsr_client.config import Reading
from flashvsr_client.errors import InputError, UsageError
from flashvsr_client.media.stdin import STANDARD, Pipe


@contextmanager
def opened(path: Path, reading: Reading | None = None, pipe: Pipe | None = None) -> Iterator[InputContainer]:
    """Open a media file, or ``pipe``. Raises :class:`InputError` here, and for what FFmpeg reports inside the block."""
    kind, options = _raw(reading or Reading())
    if path == STANDARD:
        assert pipe is not None
        kind = kind or "yuv4mpegpipe"
    else:
        _check(path)
    try:
        # "file:" keeps FFmpeg from reading a protocol into a name with a colon
        with av.open(pipe or f"file:{path.resolve()}", "r", format=kind, container_options=options) as container:
            yield container
    except av.error.FFmpegError as error:
        raise InputError(_unreadable(path, error.strerror or type(error).__name__)) from error


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Give the first video stream that is no cover picture. Raises :class:`InputError` when there is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise InputError(f"{path} has no video stream (it has {kinds}): give a file with a picture")


def _unreadable(path: Path, reason: str) -> str:
    if path == STANDARD:
        return (
            f"standard input cannot be read as a video ({reason}): give YUV4MPEG2 (y4m), or raw video with "
            "--pix-fmt-in, --size and --fps"
        )
    return (
        f"{path} cannot be read as a video ({reason}): it is damaged, incomplete or of an unknown kind; "
        "check that it plays, or convert it to MP4 or MKV first"
    )


def _raw(reading: Reading) -> tuple[str | None, dict[str, str]]:
    """Name the format, and its options, of raw video; nothing for an input that says itself what it is."""
    if reading.pixel_format is None or reading.size is None:
        return None, {}
    try:
        av.VideoFormat(reading.pixel_format)
    except ValueError as error:
        raise UsageError(
            f"pixel format {reading.pixel_format!r} is unknown: give one of FFmpeg's names, such as yuv420p or rgb24"
        ) from error
    options = {"pixel_format": reading.pixel_format, "video_size": f"{reading.size[0]}x{reading.size[1]}"}
    if reading.fps is not None:
        options["framerate"] = str(reading.fps)
    return "rawvideo", options


def _check(path: Path) -> None:
    try:
        if not path.is_file():
            raise InputError(f"{path} is not a file: give one video file" if path.exists() else f"{path}: no such file")
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}): check its path and permissions") from error
