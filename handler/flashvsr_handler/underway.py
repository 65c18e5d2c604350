"""Frames that a device is still making: promised, so that its next work can be given to it before they are there."""

from __future__ import annotations

from collections.abc import Callable

from flashvsr_proto.planes import Planes
from flashvsr_proto.wire import Pictures


class Underway:
    """Some frames, RGB or planes. It has a length at once."""

    def __init__(self, frames: Pictures | Planes, wait: Callable[[], object]) -> None:
        """``wait`` returns once the frames are there, as often as it is called; it raises the device's errors."""
        self._frames = frames
        self._wait = wait

    def __len__(self) -> int:
        return len(self._frames)

    def arrived(self) -> Pictures | Planes:
        """Wait for the frames."""
        self._wait()
        return self._frames
