"""The same part of several pictures beside one another, labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from flashvsr_client.chunks import Frame
from flashvsr_client.errors import UsageError
from flashvsr_client.media.whole import whole_or_nothing

_LABEL: Final = 28


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a picture in pixels; without a place, its middle."""

    width: int = 640
    height: int = 384
    place: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> Crop:
        """Read WxH or WxH+X+Y. Raises :class:`UsageError`."""
        size, *place = text.split("+")
        try:
            width, height = (int(side) for side in size.split("x"))
            left, top = (int(part) for part in place) if place else (0, 0)
        except ValueError as error:
            raise UsageError(f"crop {text!r}: give WxH, or WxH+X+Y with its left upper corner") from error
        if min(width, height) < 1 or min(left, top) < 0:
            raise UsageError(f"crop {text!r}: give sides of 1 or more and a place of 0 or more")
        return cls(width, height, (left, top) if place else None)

    def of(self, picture: Frame) -> Frame:
        """Cut it out, as much of it as there is. Raises :class:`UsageError` where there is nothing of it."""
        rows, columns = picture.shape[:2]
        width, height = min(self.width, columns), min(self.height, rows)
        left, top = self.place or ((columns - width) // 2, (rows - height) // 2)
        if left + width > columns or top + height > rows:
            raise UsageError(f"crop {width}x{height}+{left}+{top} passes the picture of {columns}x{rows}: choose less")
        return picture[top : top + height, left : left + width]


def repeated(picture: Frame, width: int, height: int) -> Frame:
    """Enlarge by repeating pixels: what an input really has."""
    return picture.repeat(height // picture.shape[0], 0).repeat(width // picture.shape[1], 1)


def write(target: Path, tiles: Sequence[tuple[str, Frame]], crop: Crop) -> None:
    """Write a PNG of pictures of one size, in labelled tiles. Raises :class:`OutputError`, :class:`UsageError`."""
    cut = [(label, crop.of(picture)) for label, picture in tiles]
    height, width = cut[0][1].shape[:2]
    columns = 2 if len(cut) == 4 else len(cut)
    rows = len(cut) // columns
    sheet = Image.new("RGB", (columns * width, rows * (height + _LABEL)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for place, (label, picture) in enumerate(cut):
        x, y = place % columns * width, place // columns * (height + _LABEL)
        pen.text((x + 6, y + 4), label, "black", font)
        sheet.paste(Image.fromarray(picture), (x, y + _LABEL))
    with whole_or_nothing(target) as part:
        sheet.save(part, "PNG")
