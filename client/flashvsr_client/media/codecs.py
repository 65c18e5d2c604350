"""Encoders: their names, their scales of quality, and which pixels each takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

import av
from av.codec.context import CodecContext

from flashvsr_client.config import Encoding
from flashvsr_client.errors import OutputError, UsageError

DEFAULT_ENCODER: Final = "libx264"
ALIASES: Final = {
    "h264": "libx264",
    "hevc": "libx265",
    "h265": "libx265",
    "av1": "libsvtav1",
    "vp9": "libvpx-vp9",
    "prores": "prores_ks",
}
"""What people call a format, and the encoder that is taken for it."""


@dataclass(frozen=True, slots=True)
class _Quality:
    """The option that `--crf` sets: its name, its worst value, ours, and what has to be set beside it."""

    option: str
    worst: int
    default: int
    beside: Mapping[str, str] = field(default_factory=dict)


_CRF: Final = {
    # a number of threads, lest the packets depend on how many cores are free
    "libx264": _Quality("crf", 51, 18, {"threads": "8"}),
    "libx265": _Quality("crf", 51, 20, {"x265-params": "log-level=error:frame-threads=2"}),
    "libsvtav1": _Quality("crf", 63, 24),
    "libvpx-vp9": _Quality("crf", 63, 20, {"b": "0", "row-mt": "1"}),
}
_BY_FAMILY: Final = {
    "nvenc": _Quality("cq", 51, 19, {"rc": "vbr", "b": "0"}),
    "qsv": _Quality("global_quality", 51, 19),
    "vaapi": _Quality("qp", 52, 20),
    "amf": _Quality("qp_p", 51, 20, {"rc": "cqp", "qp_i": "20"}),
}
_PRESETS: Final = {"libx264": "medium", "libx265": "medium", "libsvtav1": "8"}
_SHALLOW: Final = ("yuv420p", "nv12", "yuv422p", "yuv444p", "gbrp")
_DEEP: Final = ("yuv420p10le", "p010le", "yuv422p10le", "p210le", "yuv444p10le", "yuv444p16le", "gbrp10le")
_WHOLE: Final = ("yuv444p", "gbrp", "yuv444p10le", "yuv444p16le", "gbrp10le")


def encoder(encoding: Encoding, default: str) -> av.Codec:
    """Find the encoder. Raises :class:`UsageError` for a name that is none here."""
    name = ALIASES.get(encoding.codec or default, encoding.codec or default)
    try:
        codec = av.Codec(name, "w")
    except ValueError as error:
        raise UsageError(
            f"codec {name!r} is no encoder of this FFmpeg: give {', '.join(sorted(ALIASES))}, or an encoder's name "
            "such as libx264, libx265, libsvtav1, ffv1, prores_ks, h264_nvenc"
        ) from error
    if codec.type != "video":
        raise UsageError(f"codec {name!r} is for {codec.type}: give an encoder of video, such as libx264")
    return codec


def options(codec: av.Codec, encoding: Encoding) -> dict[str, str]:
    """Collect what the encoder is told. Raises :class:`UsageError` for what it does not know."""
    chosen: dict[str, str] = {}
    quality = _CRF.get(codec.name) or _BY_FAMILY.get(codec.name.rpartition("_")[2])
    if quality is not None:
        crf = quality.default if encoding.crf is None else encoding.crf
        if crf > quality.worst:
            raise UsageError(f"crf {crf}: {codec.name} takes 0 (best) to {quality.worst}")
        chosen = {**quality.beside, quality.option: str(crf)}
    elif encoding.crf is not None:
        raise UsageError(f"crf {encoding.crf}: {codec.name} has no such scale; leave --crf out, or set it with -e")
    preset = encoding.preset or _PRESETS.get(codec.name)
    given = ([("preset", preset)] if preset is not None else []) + list(encoding.options)
    for name, value in given:
        _check_option(codec, name, value)
        joined = name.endswith("-params") and name in chosen
        chosen[name] = f"{chosen[name]}:{value}" if joined else value
    return chosen


def _check_option(codec: av.Codec, name: str, value: str) -> None:
    known = CodecContext.create(codec.name, "w").supported_options
    named = {option.name: option for option in (*known.generic, *known.private)}
    if name not in named:
        own = sorted(option.name for option in known.private)
        near = get_close_matches(name, [*own, *named], 3) or own
        raise UsageError(f"option {name!r}: {codec.name} has none of that name; it has {', '.join(near)}")
    choices = {choice.name for choice in named[name].choices}
    if choices and not choices & set(value.replace("+", " ").split()) and not value.lstrip("+-").isdigit():
        raise UsageError(f"option {name}={value}: {codec.name} takes {', '.join(sorted(choices))}")


def pixel_format(codec: av.Codec, width: int, height: int, depth: int, wanted: str | None = None) -> str:
    """Say how pixels are stored: 4:2:0 where sides are even and the encoder has it, 4:4:4 where one is odd.

    ``depth`` is the source's, 8 or 16. No row or column is dropped or added to fit. Raises :class:`UsageError` for a
    ``wanted`` format that the encoder does not take, :class:`OutputError` where there is none at all.
    """
    taken = [one.name for one in codec.video_formats or ()]
    if wanted is not None:
        if taken and wanted not in taken:
            raise UsageError(f"pixel format {wanted!r}: {codec.name} takes {', '.join(taken)}")
        if not _holds(_format(wanted), width, height):
            raise UsageError(f"pixel format {wanted} cannot hold {width}x{height}: give one of 4:4:4, such as yuv444p")
        return wanted
    order: tuple[str, ...] = (*_DEEP, *_SHALLOW) if depth > 8 else (*_SHALLOW, *_DEEP)
    if width % 2 or height % 2:
        order = tuple(name for name in order if name in _WHOLE)
    for name in order:
        if name in taken or not taken:
            return name
    raise OutputError(
        f"{codec.name} has no pixel format for {width}x{height}: choose another -c, or give --pix-fmt "
        f"({', '.join(taken)})"
    )


def depth_of(pixel_format: str) -> int:
    """Bits of the pictures that such pixels are made of: 8, or 16 for any of more than 8."""
    return 16 if any(component.bits > 8 for component in av.VideoFormat(pixel_format).components) else 8


def _format(name: str) -> av.VideoFormat:
    try:
        return av.VideoFormat(name)
    except ValueError as error:
        raise UsageError(
            f"pixel format {name!r} is unknown: give one of FFmpeg's names, such as yuv420p10le"
        ) from error


def _holds(kind: av.VideoFormat, width: int, height: int) -> bool:
    """Whether the sides are multiples of what chroma is halved by."""
    if kind.is_rgb:
        return True
    return width % (16 // kind.chroma_width(16)) == 0 and height % (16 // kind.chroma_height(16)) == 0
