"""High dynamic range: what a source says about its light, and how an encoder is told the same."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
from av.sidedata.sidedata import Type

from flashvsr_client.errors import InputError, OutputError
from flashvsr_client.media.sidedata import side_data

PQ: Final = 16
HLG: Final = 18
"""Transfer characteristics of ITU-T H.273: SMPTE ST 2084 and ARIB STD-B67."""
_NAMES: Final = {PQ: "PQ", HLG: "HLG"}
_MASTERING: Final = struct.Struct("=20iii")  # AVMasteringDisplayMetadata: ten rationals, has_primaries, has_luminance
_CONTENT_LIGHT: Final = struct.Struct("=II")


@dataclass(frozen=True, slots=True)
class Light:
    """Static metadata of SMPTE ST 2086 and CTA-861.3."""

    primaries: tuple[tuple[Fraction, Fraction], ...] = ()
    """CIE x and y of red, green, blue and white; empty when unknown."""
    luminance: tuple[Fraction, Fraction] | None = None
    """Least and most of the mastering display, in cd/m2."""
    content: tuple[int, int] | None = None
    """MaxCLL and MaxFALL, in cd/m2."""

    @property
    def peak(self) -> float | None:
        """The brightest that the pictures may be, in cd/m2, when it is known."""
        if self.content is not None and self.content[0]:
            return float(self.content[0])
        return float(self.luminance[1]) if self.luminance is not None and self.luminance[1] else None


def light_of(frame: av.VideoFrame) -> Light | None:
    """Read a decoded frame's static metadata; None when it has none."""
    mastering = side_data(frame, Type.MASTERING_DISPLAY_METADATA)
    content = side_data(frame, Type.CONTENT_LIGHT_LEVEL)
    if mastering is None and content is None:
        return None
    primaries: tuple[tuple[Fraction, Fraction], ...] = ()
    luminance = None
    if mastering is not None:
        *numbers, has_primaries, has_luminance = _MASTERING.unpack_from(mastering)
        values = [Fraction(a, b) if b else Fraction(0) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
        if has_primaries:
            primaries = tuple((values[i], values[i + 1]) for i in range(0, 8, 2))
        if has_luminance:
            luminance = (values[8], values[9])
    levels = None if content is None else _CONTENT_LIGHT.unpack_from(content)
    return Light(primaries, luminance, (levels[0], levels[1]) if levels else None)


def check_treatment(transfer: int, treatment: str, path: object) -> None:
    """Raise :class:`InputError` for a source of high dynamic range that nothing was said about."""
    if transfer in _NAMES and treatment == "refuse":
        raise InputError(
            f"{path} is HDR ({_NAMES[transfer]}), and the model was made for SDR: give --hdr tonemap for SDR output, "
            "or --hdr keep to process it as it is and carry it through in 10 bits"
        )


def encoder_options(light: Light, codec: str) -> dict[str, str]:
    """Options that make an encoder write the metadata. Raises :class:`OutputError` for one that cannot."""
    match codec:
        case "libx264":
            keys, name, assign = ("mastering-display", "cll"), "x264-params", "="
        case "libx265":
            keys, name, assign = ("master-display", "max-cll"), "x265-params", "="
        case "libsvtav1":
            keys, name, assign = ("mastering-display", "content-light"), "svtav1-params", "="
        case _:
            raise OutputError(
                f"{codec} cannot carry the input's HDR metadata here: choose -c libx265, libx264 or libsvtav1, "
                "or --hdr tonemap"
            )
    whole = codec != "libsvtav1"  # x264 and x265 count in steps of 0.00002 and 0.0001 cd/m2, SVT-AV1 in units
    parts = []
    if light.primaries and light.luminance is not None:
        red, green, blue, white = (_pair(point, 50000, whole) for point in light.primaries)
        low, high = light.luminance
        levels = _pair((high, low), 10000, whole)
        parts.append(f"{keys[0]}{assign}G{green}B{blue}R{red}WP{white}L{levels}")
    if light.content is not None:
        parts.append(f"{keys[1]}{assign}{light.content[0]},{light.content[1]}")
    return {name: ":".join(parts)} if parts else {}


def _pair(values: tuple[Fraction, Fraction], steps: int, whole: bool) -> str:
    first, second = (round(v * steps) if whole else f"{float(v):.5f}" for v in values)
    return f"({first},{second})"
