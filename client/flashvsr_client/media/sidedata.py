"""What a decoded frame carries beside its pixels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import av
from av.sidedata.sidedata import SideData, Type


def side_data(frame: av.VideoFrame, kind: Type) -> bytes | None:
    """Give the bytes of one kind of side data; None when the frame has none, or a kind that PyAV does not know.

    PyAV gives no side data at all of a frame that has such a kind, EXIF for one.
    """
    try:
        frame.side_data  # noqa: B018 - reading it is what fails
    except ValueError:
        return None
    sides = cast("Iterable[SideData]", frame.side_data)  # it iterates over its values, which its stub denies
    return next((bytes(side) for side in sides if side.type is kind), None)
