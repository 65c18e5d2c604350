"""YUV made on a GPU for a client: the bytes of the codec over the engine's own frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_handler import on_device
from flashvsr_proto.planes import Planes
from flashvsr_proto.yuv import Matrix

BT709 = Matrix(0.2126, 0.0722, full_range=False)

pytestmark = pytest.mark.gpu


def test_planes_of_a_session_are_those_of_its_frames() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (40, 50, 67, 3), np.uint8)
    engine = FlashVSREngine.load(EngineConfig(weights="builtin", scale=3, device="cuda:0"))
    with engine.open(67, 50) as session:
        rgb = np.concatenate([session.push(frames), session.finish()])
    with engine.open(67, 50) as session:
        source = on_device.DeviceSource(session, None)
        given = [source.push(frames[:30]), source.push(frames[30:]), source.finish()]
    np.testing.assert_array_equal(np.concatenate([part.arrived() for part in given]), rgb)
    with engine.open(67, 50) as session:
        source = on_device.DeviceSource(session, BT709)
        made = [source.push(frames[:30]), source.push(frames[30:]), source.finish()]
    expected = Planes.of(rgb, BT709)
    for plane in ("y", "u", "v"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(part.arrived(), plane) for part in made]), getattr(expected, plane)
        )


def test_planes_of_every_byte() -> None:
    frames = torch.randint(0, 256, (3, 301, 407, 3), dtype=torch.uint8, device="cuda:0")
    made, expected = on_device.planes(frames, BT709), Planes.of(frames.cpu().numpy(), BT709)
    torch.cuda.synchronize()
    for plane in ("y", "u", "v"):
        np.testing.assert_array_equal(getattr(made, plane), getattr(expected, plane))
