"""Opening an input file, and saying clearly what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from flashvsr_client.errors import InputError


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Open a media file. Raises :class:`InputError` here, and for what FFmpeg reports inside the block."""
    _check(path)
    try:
        # "file:" keeps FFmpeg from reading a protocol into a name with a colon
        with av.open(f"file:{path.resolve()}") as container:
            yield container
    except av.error.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            f"{path} cannot be read as a video ({reason}): it is damaged, incomplete or of an unknown kind; "
            "check that it plays, or convert it to MP4 or MKV first"
        ) from error


def _check(path: Path) -> None:
    try:
        if not path.is_file():
            raise InputError(f"{path} is not a file: give one video file" if path.exists() else f"{path}: no such file")
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}): check its path and permissions") from error


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Give the first video stream that is no cover picture. Raises :class:`InputError` when there is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise InputError(f"{path} has no video stream (it has {kinds}): give a file with a picture")
