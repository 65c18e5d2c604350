"""Frames as planes of YUV 4:2:0, in the order in which they travel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flashvsr_proto import yuv

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """T frames: Y [T, h, w], U and V [T, ceil(h/2), ceil(w/2)]. It has a length and slices, as arrays of frames do."""

    y: Bytes
    u: Bytes
    v: Bytes

    @classmethod
    def of(cls, frames: Bytes, matrix: yuv.Matrix) -> Planes:
        """Convert RGB [T, h, w, 3]."""
        count, height, width = frames.shape[:3]
        columns, rows = yuv.chroma_size(width, height)
        planes = cls(
            *(np.empty((count, *size), np.uint8) for size in ((height, width), (rows, columns), (rows, columns)))
        )
        for index, frame in enumerate(frames):
            planes.y[index], planes.u[index], planes.v[index] = yuv.from_rgb(frame, matrix)
        return planes

    def rgb(self, matrix: yuv.Matrix) -> Bytes:
        """Convert to RGB [T, h, w, 3]."""
        frames = np.empty((*self.y.shape, 3), np.uint8)
        for index, frame in enumerate(frames):
            yuv.to_rgb(self.y[index], self.u[index], self.v[index], matrix, out=frame)
        return frames

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, frames: slice) -> Planes:
        return Planes(self.y[frames], self.u[frames], self.v[frames])
