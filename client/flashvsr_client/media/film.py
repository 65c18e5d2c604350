"""What the video of an output is made of: container, codec, pixels, options, colours."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream

from flashvsr_client.config import Encoding
from flashvsr_client.errors import OutputError, UsageError
from flashvsr_client.media import codecs
from flashvsr_client.media.color import Colors
from flashvsr_client.media.hdr import encoder_options
from flashvsr_client.media.output import MUXERS, STREAMS, muxer_of
from flashvsr_client.media.pictures import is_tone_mapped, output_colors
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.media.stdin import STANDARD
from flashvsr_client.media.x264 import same_bytes

_RAW: Final = {"yuv4mpegpipe": "wrapped_avframe", "rawvideo": "rawvideo"}
_Y4M: Final = {
    8: ("yuv420p", "yuv444p"),
    16: ("yuv420p10le", "yuv444p10le"),
}


@dataclass(frozen=True, slots=True)
class Film:
    """How the video stream of an output is made."""

    muxer: str
    codec: str
    pixel_format: str
    options: dict[str, str]
    colors: Colors
    width: int
    height: int

    @property
    def steady(self) -> bool:
        """Whether there are no times in it, but a rate: frames are numbered."""
        return self.muxer in STREAMS.values()


def film(target: Path, info: VideoInfo, width: int, height: int, encoding: Encoding) -> Film:
    """Decide on codec, pixels and options. Raises :class:`UsageError` and :class:`OutputError`."""
    muxer = "yuv4mpegpipe" if target == STANDARD else muxer_of(target)
    if target == STANDARD and encoding.codec == "rawvideo":
        muxer = "rawvideo"
    colors = output_colors(info)
    deep = 8 if is_tone_mapped(info) else info.depth
    if (raw := _RAW.get(muxer)) is not None:
        kind = encoding.pixel_format or _raw_format(width, height, deep)
        return Film(muxer, raw, kind, {}, colors, width, height)
    codec = codecs.encoder(encoding, "libsvtav1" if muxer == "webm" else codecs.DEFAULT_ENCODER)
    options = codecs.options(codec, encoding)
    if colors.is_hdr:
        deep = 16
        if info.light is not None:
            for name, value in encoder_options(info.light, codec.name).items():
                options[name] = f"{options[name]}:{value}" if name in options else value
    kind = codecs.pixel_format(codec, width, height, deep, encoding.pixel_format)
    if colors.is_hdr and codecs.depth_of(kind) == 8:
        raise UsageError(f"pixel format {kind}: HDR needs 10 bits or more; give yuv420p10le, or --hdr tonemap")
    return Film(muxer, codec.name, kind, options, colors, width, height)


def _raw_format(width: int, height: int, depth: int) -> str:
    return _Y4M[depth][width % 2 or height % 2]


def add_video(output: OutputContainer, made: Film, info: VideoInfo) -> VideoStream:
    """Add the stream to ``output``. Raises :class:`OutputError` where the container has no place for the codec."""
    options = same_bytes(made.codec, made.options)  # here, for it is this machine that encodes
    try:
        stream = output.add_stream(made.codec, rate=info.rate, options=options, width=made.width, height=made.height)
    except ValueError as error:
        others = [suffix for suffix, muxer in MUXERS.items() if _takes(muxer, made.codec)]
        raise OutputError(
            f"{made.muxer} cannot hold {made.codec}: name the output {' or '.join(others)}, or choose another -c"
        ) from error
    assert isinstance(stream, VideoStream)
    stream.pix_fmt = made.pixel_format
    context = stream.codec_context
    context.time_base = 1 / info.rate if made.steady else info.time_base
    context.flags |= Flags.frame_duration
    context.sample_aspect_ratio = info.pixel_aspect
    context.colorspace = made.colors.matrix
    context.color_range = made.colors.range
    context.color_primaries = made.colors.primaries
    context.color_trc = made.colors.transfer
    return stream


def _takes(muxer: str, codec: str) -> bool:
    with av.open(BytesIO(), "w", format=muxer) as trial:
        try:
            trial.add_stream(codec)
        except ValueError:
            return False
        return True
