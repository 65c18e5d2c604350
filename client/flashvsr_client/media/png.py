"""Pictures out: a folder of numbered PNG files, or one PNG, of 8 or 16 bits a colour."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext

from flashvsr_client.chunks import Frame
from flashvsr_client.config import Encoding
from flashvsr_client.errors import OutputError, UsageError
from flashvsr_client.media.color import rgb_frame
from flashvsr_client.media.decode import Moment
from flashvsr_client.media.output import folder_and_pattern, is_picture
from flashvsr_client.media.pictures import is_tone_mapped
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.media.whole import whole_folder_or_nothing, whole_or_nothing

_DEEP_NAMES: Final = ("rgb48", "rgb48be", "rgb48le")


class PngWriter:
    """A :class:`Writer` of PNG files ``pattern`` in ``folder``, numbered from 1."""

    def __init__(self, folder: Path, pattern: str, depth: int, *, single: bool = False) -> None:
        self._folder = folder
        self._pattern = pattern
        self._single = single
        self._count = 0
        self.depth = depth
        self.pixel_format = "rgb24" if depth == 8 else "rgb48be"

    def describe(self, tag: str) -> None:
        """See :class:`Writer`; PNG files of FFmpeg have no place for it."""

    def write(self, picture: Frame, moment: Moment) -> None:
        """See :class:`Writer`; the time is not kept."""
        if self._single and self._count:
            raise OutputError("the input has more than one frame: name a folder, such as frames/%06d.png, or a video")
        self._count += 1
        name = self._pattern if self._single else self._pattern % self._count
        path = self._folder / name
        try:
            path.write_bytes(png(picture))
        except OSError as error:
            raise OutputError(f"cannot write {path} ({error.strerror}): free some space") from error


def png(picture: Frame) -> bytes:
    """Encode RGB [h, w, 3], uint8 or uint16, as a PNG file."""
    height, width = picture.shape[:2]
    encoder = CodecContext.create("png", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.time_base = width, height, Fraction(1)
    encoder.pix_fmt = "rgb24" if picture.dtype == np.uint8 else "rgb48be"  # the order of bytes in a PNG file
    frame = rgb_frame(picture)
    if frame.format.name != encoder.pix_fmt:
        frame = frame.reformat(format=encoder.pix_fmt)
    frame.pts, frame.time_base = 0, Fraction(1)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


@contextmanager
def pictures_written(target: Path, info: VideoInfo, encoding: Encoding) -> Iterator[PngWriter]:
    """Open a target of pictures; they are there, all of them, when the block ends well.

    Raises :class:`OutputError` and :class:`UsageError` for what can be known before the first frame.
    """
    if encoding.codec not in (None, "png") or encoding.crf is not None or encoding.options:
        raise UsageError("pictures are written as PNG: leave -c, --crf and -e out, or name a video file")
    depth = _depth(info, encoding.pixel_format)
    if is_picture(target):
        if info.frames not in (None, 1):
            raise OutputError(
                f"{target} holds one picture, and the input has more: name a folder, such as frames/%06d.png"
            )
        with whole_or_nothing(target) as part:
            yield PngWriter(part.parent, part.name, depth, single=True)
        return
    folder, pattern = folder_and_pattern(target)
    with whole_folder_or_nothing(folder) as made:
        yield PngWriter(made, pattern, depth)


def _depth(info: VideoInfo, wanted: str | None) -> int:
    if wanted is None:
        return 8 if is_tone_mapped(info) else info.depth
    if wanted in _DEEP_NAMES:
        return 16
    if wanted != "rgb24":
        raise UsageError(f"pixel format {wanted!r}: PNG is written as rgb24 or rgb48")
    return 8
