"""YUV made by torch: the bytes of the codec, whatever the size, and through a service those of an engine's RGB."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from flashvsr_handler import on_device
from flashvsr_handler.chunks import SourceOf
from flashvsr_handler.service import Service
from flashvsr_handler.settings import Settings
from flashvsr_proto import wire
from flashvsr_proto.color import matrix
from flashvsr_proto.planes import Planes
from flashvsr_proto.v1 import stream_pb2 as pb

from tests.unit.handler.fake_engine import FakeEngine, FakeSession

MATRICES = (pb.COLOR_MATRIX_BT601, pb.COLOR_MATRIX_BT709, pb.COLOR_MATRIX_BT2020)
RANGES = (pb.COLOR_RANGE_LIMITED, pb.COLOR_RANGE_FULL)


@pytest.mark.parametrize(("name", "span"), list(product(MATRICES, RANGES)))
@pytest.mark.parametrize("size", [(64, 96), (65, 97), (1, 1), (2, 131)])
def test_planes_are_those_of_the_codec(name: pb.ColorMatrix, span: pb.ColorRange, size: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    tags = matrix(pb.ColorTags(matrix=name, range=span))
    made, expected = on_device.planes(torch.from_numpy(frames), tags), Planes.of(frames, tags)
    for one, other in zip((made.y, made.u, made.v), (expected.y, expected.u, expected.v), strict=True):
        np.testing.assert_array_equal(one, other)


class TensorSession(FakeSession):
    """Gives tensors for tensors, as the engine's own sessions do."""

    def push(self, frames: Any) -> Any:
        made = super().push(frames.numpy() if isinstance(frames, torch.Tensor) else frames)
        return torch.from_numpy(made) if isinstance(frames, torch.Tensor) else made


class TensorEngine(FakeEngine):
    def open(self, *args: Any, **options: Any) -> TensorSession:
        opened = super().open(*args, **options)
        return TensorSession(opened.scale, opened.seed, opened.size, output=opened.output)


@pytest.mark.parametrize("pixels", [pb.PIXEL_FORMAT_YUV420P, pb.PIXEL_FORMAT_RGB24, pb.PIXEL_FORMAT_RGB48LE])
def test_a_client_gets_the_same_bytes_from_a_gpu(pixels: pb.PixelFormat) -> None:
    deep = pixels == pb.PIXEL_FORMAT_RGB48LE
    frames = np.random.default_rng(1).integers(0, 256, (33, 16, 24, 3), np.uint8)
    sent = wire.encode(frames.astype(np.uint16), pixels) if deep else wire.encode(frames)
    plain, on_gpu = (_answers(on_device.source_on(device), pixels, sent) for device in ("cpu", "cuda:0"))
    assert sum(part.count for part in on_gpu) == 33
    assert on_gpu == plain


def _answers(source_of: SourceOf, pixels: pb.PixelFormat, sent: pb.Frames) -> list[pb.Frames]:
    service = Service(TensorEngine(), "cuda:0", 10**9, Settings(), source_of=source_of)
    (opened,) = _ask(service, open=pb.Open(width=24, height=16, output_format=pixels))
    name = opened.session_id
    pushed = _ask(service, session_id=name, frames=sent)
    again = _ask(service, session_id=name, frames=sent)
    assert [part.frames for part in again] == [part.frames for part in pushed]
    flushed = _ask(service, session_id=name, chunk_index=1, flush=pb.Flush())
    return [part.frames for part in (*pushed, *flushed) if part.HasField("frames")]


def _ask(service: Service, **fields: Any) -> list[pb.StreamResponse]:
    request = pb.StreamRequest(protocol_version=1, **fields)
    return list(service.handle(request.SerializeToString(), many=True))
