"""The options of the command that say how the input is read and how the output is written."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

import click

from flashvsr_client.config import HDR_TREATMENTS, Encoding, Reading

_READING: Final = {
    "fps": "fps",
    "size": "size",
    "pix_fmt_in": "pixel_format",
    "ss": "start",
    "t": "duration",
    "hdr": "hdr",
}
_ENCODING: Final = {"codec": "codec", "crf": "crf", "preset": "preset", "pix_fmt": "pixel_format", "e": "options"}
_SWITCHES: Final = ("audio", "subtitles", "attachments", "provenance")


COMPARE_HELP: Final = "Also write bicubic interpolation and the result side by side."


class _Seconds(click.ParamType[Fraction]):
    """Seconds, or hours, minutes and seconds with colons, as FFmpeg has them: 90, 1:30, 0:01:30.5."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        """See `click.ParamType`."""
        try:
            parts = [Fraction(part) for part in str(value).split(":")]
        except (ValueError, ZeroDivisionError):
            parts = []
        if not 1 <= len(parts) <= 3 or min(parts) < 0:
            self.fail(f"{value!r} is no time: give seconds (90.5) or H:M:S (0:01:30.5)", param, ctx)
        return sum((part * 60**power for power, part in enumerate(reversed(parts))), Fraction(0))


class _Rate(click.ParamType[Fraction]):
    """Frames per second: 25, 23.976 or 24000/1001."""

    name = "FPS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        """See `click.ParamType`."""
        try:
            return Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is no frame rate: give a number or a fraction, such as 25 or 30000/1001", param, ctx)


class _Size(click.ParamType[tuple[int, int]]):
    """Width and height: 640x360."""

    name = "WxH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """See `click.ParamType`."""
        width, _, height = str(value).partition("x")
        if not (width.isdecimal() and height.isdecimal()):
            self.fail(f"{value!r} is no size: give width and height, such as 640x360", param, ctx)
        return int(width), int(height)


class _Setting(click.ParamType[tuple[str, str]]):
    """One option of the encoder: key=value."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """See `click.ParamType`."""
        key, equals, setting = str(value).partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is no setting: give key=value, such as tune=film", param, ctx)
        return key, setting


def media_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of input and output; :func:`reading_of` and :func:`encoding_of` take them."""
    options = [
        click.option("-y", "--overwrite", is_flag=True, help="Overwrite an existing OUT."),
        click.option("-n", "never", is_flag=True, help="Never overwrite: the default."),
        click.option("-ss", "ss", type=_Seconds(), help="Begin at that time of IN."),
        click.option("-t", "t", type=_Seconds(), help="Take that much of IN."),
        click.option("--fps", type=_Rate(), help="Of a folder of pictures, or of raw video.  [default: 25]"),
        click.option("--size", type=_Size(), help="Of raw video."),
        click.option("--pix-fmt-in", metavar="NAME", help="IN is raw video of these pixels, such as yuv420p."),
        click.option("--hdr", type=click.Choice(HDR_TREATMENTS), help="What to do with PQ and HLG.  [default: refuse]"),
        click.option("-c", "--codec", metavar="NAME", help="h264, hevc, av1, vp9, prores or an FFmpeg encoder."),
        click.option("--crf", type=int, help="Quality, 0 (best) to 51 of x264, 63 of av1.  [default: 18 of x264]"),
        click.option("--preset", metavar="NAME", help="Of the encoder.  [default: medium of x264]"),
        click.option("--pix-fmt", metavar="NAME", help="Of OUT.  [default: 4:2:0 in IN's depth]"),
        click.option("-e", "e", type=_Setting(), multiple=True, help="One more option of the encoder; repeatable."),
        click.option("--no-audio", "audio", is_flag=True, default=True, flag_value=False, help="Leave IN's audio out."),
        click.option(
            "--no-subtitles", "subtitles", is_flag=True, default=True, flag_value=False, help="And subtitles."
        ),
        click.option(
            "--no-attachments", "attachments", is_flag=True, default=True, flag_value=False, help="And fonts, covers."
        ),
        click.option(
            "--no-provenance",
            "provenance",
            is_flag=True,
            default=True,
            flag_value=False,
            help="Do not say in OUT's metadata what made it.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def reading_of(options: dict[str, Any]) -> Reading:
    """Take the options of the input out of ``options``. Raises :class:`UsageError`."""
    return Reading(**_taken(options, _READING))


def encoding_of(options: dict[str, Any]) -> Encoding:
    """Take the options of the output out of ``options``. Raises :class:`UsageError`."""
    if options["overwrite"] and options.pop("never", False):
        raise click.UsageError("-y and -n exclude each other: give one of them")
    options.pop("never", None)
    switches = {name: options.pop(name) for name in (*_SWITCHES, "overwrite")}
    return Encoding(**_taken(options, _ENCODING), **switches)


def _taken(options: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    given = {field: options.pop(option) for option, field in names.items()}
    return {field: value for field, value in given.items() if value is not None}
