"""Frames as a GPU gives them: in page-locked memory, as YUV 4:2:0 where the client wants it, and while it goes on.

YUV is made on the device: a millisecond there, and as long as a chunk takes on a core of the host; half as much is
copied too. The arithmetic is that of :mod:`flashvsr_proto.yuv`, step by step, so the bytes are the same. Nothing here
waits for the chunk that it has begun, so the device finds its next work waiting.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from flashvsr_engine.devices import current
from flashvsr_proto import color
from flashvsr_proto.planes import Planes
from flashvsr_proto.v1 import stream_pb2 as pb
from flashvsr_proto.yuv import Matrix, chroma_size
from torch import Tensor

from flashvsr_handler.chunks import SourceOf, engine_itself
from flashvsr_handler.protocols import Pictures, Source
from flashvsr_handler.stored import StoredSession
from flashvsr_handler.underway import Underway

BEHIND: Final = 1
"""Chunks that may be on the device when a call returns: one that runs while the next is prepared."""


def source_on(device: str) -> SourceOf:
    """Give from what sessions' frames are taken on a device such as "cuda:0"; a CPU has nothing to gain."""
    return Sources() if device.startswith("cuda") else engine_itself


class Sources:
    """Gives sources of sessions of one engine."""

    def __init__(self) -> None:
        self._backlog = Backlog()

    def __call__(self, session: StoredSession) -> Source:
        """Give a source of what the session's client wants: planes for YUV420P, else RGB."""
        opening, plan = session.admission.opening, session.admission.plan
        matrix = None
        if opening.output_format == pb.PIXEL_FORMAT_YUV420P:
            matrix = color.matrix(color.resolve(opening.output_color, plan.out_height))
        return DeviceSource(session.engine, matrix, self._backlog)


class Backlog:
    """What a device has been given and may not have finished."""

    def __init__(self) -> None:
        self._given = deque[torch.cuda.Event]()

    def add(self, work: torch.cuda.Event) -> None:
        """Let it grow by some work, and wait until it is short enough again."""
        self._given.append(work)
        while len(self._given) > BEHIND:
            self._given.popleft().synchronize()


@dataclass(frozen=True, slots=True)
class DeviceSource:
    """A :class:`Source`. session: of the engine, which gives tensors for tensors. matrix: of planes; None: RGB."""

    session: Any
    matrix: Matrix | None
    backlog: Backlog = field(default_factory=Backlog)

    def push(self, frames: Pictures, /) -> Underway:
        """See :class:`Source`."""
        given = torch.from_numpy(frames if frames.flags.writeable else frames.copy())
        return self._underway(self.session.push(given))

    def finish(self) -> Underway:
        """See :class:`Source`."""
        return self._underway(torch.as_tensor(self.session.finish()))

    def _underway(self, frames: Tensor) -> Underway:
        with current(frames.device):
            made = rgb(frames) if self.matrix is None else planes(frames, self.matrix)
        if not frames.is_cuda:
            return Underway(made, lambda: None)
        done = torch.cuda.Event(blocking=True)
        done.record(torch.cuda.current_stream(frames.device))
        self.backlog.add(done)
        return Underway(made, done.synchronize)


def rgb(frames: Tensor) -> Pictures:
    """Give RGB [T, h, w, 3] in host memory: page-locked, and there once the device's stream is."""
    host = torch.empty(frames.shape, dtype=frames.dtype, pin_memory=frames.is_cuda)
    made: Pictures = host.copy_(frames, non_blocking=True).numpy()
    return made


def planes(frames: Tensor, matrix: Matrix) -> Planes:
    """Turn RGB, uint8 [T, h, w, 3], into planes in host memory: page-locked, and there once the device's stream is.

    Frame by frame, which takes little memory of the device beside what a chunk needs.
    """
    count, height, width = frames.shape[:3]
    columns, rows = chroma_size(width, height)
    y, u, v = (
        torch.empty(count, *size, dtype=torch.uint8, pin_memory=frames.is_cuda)
        for size in ((height, width), (rows, columns), (rows, columns))
    )
    for index, frame in enumerate(frames):
        for plane, made in zip((y, u, v), _converted(frame, matrix), strict=True):
            plane[index].copy_(made, non_blocking=True)
    return Planes(y.numpy(), u.numpy(), v.numpy())


def _converted(frame: Tensor, matrix: Matrix) -> tuple[Tensor, Tensor, Tensor]:
    red, green, blue = frame.permute(2, 0, 1).float()
    gain, black = matrix.luma
    y = _weighed(red, green, blue, matrix, gain)
    red, green, blue = (_halved(plane) for plane in (red, green, blue))
    luma = _weighed(red, green, blue, matrix, 1.0)
    u = (blue - luma) * float(np.float32(matrix.chroma / (2 - 2 * matrix.kb)))
    v = (red - luma) * float(np.float32(matrix.chroma / (2 - 2 * matrix.kr)))
    return _to_bytes(y, black), _to_bytes(u, 128.0), _to_bytes(v, 128.0)


def _weighed(red: Tensor, green: Tensor, blue: Tensor, matrix: Matrix, gain: float) -> Tensor:
    """Weigh the colours into luma, each product rounded to float32 by itself."""
    weights = np.array([matrix.kr, matrix.kg, matrix.kb], np.float32) * np.float32(gain)
    return red * float(weights[0]) + green * float(weights[1]) + blue * float(weights[2])


def _halved(plane: Tensor) -> Tensor:
    """Mean over 2 x 2 pixels; an odd last row or column counts double."""
    height, width = plane.shape
    plane = torch.cat((plane, plane[height - height % 2 :]), 0)
    plane = torch.cat((plane, plane[:, width - width % 2 :]), 1)
    total = plane[0::2, 0::2] + plane[0::2, 1::2] + plane[1::2, 0::2] + plane[1::2, 1::2]
    return total * 0.25  # exact: sums of four bytes


def _to_bytes(values: Tensor, offset: float) -> Tensor:
    return values.add_(float(np.float32(offset + 0.5))).clamp_(0.0, 255.0).to(torch.uint8)
