"""An engine on a GPU that is not the first, used by threads for which the first is the current one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
import torch
from flashvsr_engine import AttentionConfig, EngineConfig, FlashVSREngine
from flashvsr_handler.on_device import DeviceSource
from flashvsr_proto.yuv import Matrix

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(torch.cuda.device_count() < 2, reason="no second CUDA device")]

FRAMES = np.random.default_rng(0).integers(0, 256, (25 + 8 * 8, 48, 64, 3), dtype=np.uint8)


def engine(device: str, *, graphs: bool) -> FlashVSREngine:
    torch.zeros(1, device="cuda:0")  # which gives the first device a context, and so every thread a wrong one
    attention = AttentionConfig(backend="triton")
    return FlashVSREngine.load(EngineConfig(device=device, scale=2, attention=attention, cuda_graphs=graphs))


def streamed(engine: FlashVSREngine) -> npt.NDArray[np.uint8]:
    with engine.open(64, 48) as session:
        made = [session.push(FRAMES[at : at + 8]) for at in range(0, len(FRAMES), 8)]
        return np.concatenate([*made, session.finish()])


def together(engine: FlashVSREngine) -> npt.NDArray[np.uint8]:
    sessions = [engine.open(64, 48) for _ in range(2)]
    made = [engine.step_many(sessions, [FRAMES[at : at + 8]] * 2)[1] for at in range(0, len(FRAMES), 8)]
    for session in sessions:
        session.close()
    return np.concatenate(made)


@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("use", [streamed, together])
def test_a_thread_of_another_device_gets_the_same_frames(use: object, graphs: bool) -> None:
    assert callable(use)
    first, second = engine("cuda:0", graphs=graphs), engine("cuda:1", graphs=graphs)
    with ThreadPoolExecutor(1) as thread:
        made = thread.submit(use, second).result()
        assert thread.submit(torch.cuda.current_device).result() == 0
    np.testing.assert_array_equal(made, use(first))


def test_planes_come_from_the_second_device_too() -> None:
    matrix, made = Matrix(0.2126, 0.0722, full_range=False), list[npt.NDArray[np.uint8]]()
    with ThreadPoolExecutor(1) as thread:
        for device in ("cuda:0", "cuda:1"):
            with engine(device, graphs=False).open(64, 48) as session:
                made.append(thread.submit(DeviceSource(session, matrix).push, FRAMES).result().arrived().y)  # type: ignore[union-attr]
    np.testing.assert_array_equal(made[1], made[0])
