"""The nodes at work: on mock engines, on the built-in one, on a server; cancelled, refused, and within flat memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from threading import Event
from types import ModuleType
from typing import Any

import grpc
import numpy as np
import pytest
import torch
from flashvsr_client import (
    Client,
    ClientError,
    InputError,
    RetryPolicy,
    ServerUnreachableError,
    Timeout,
    UsageError,
)
from flashvsr_client.media.decode import decode
from flashvsr_client.media.probe import probe
from flashvsr_client.transport.server import GrpcTransport
from flashvsr_engine import FlashVSREngine, engine_config
from torch import Tensor

from tests.unit.client.clips import encoded
from tests.unit.client.fake_serve import FakeServe
from tests.unit.integrations.conftest import Mocks
from tests.unit.integrations.fake_comfyui import FakeComfyUI, Interrupted, VideoFromFile, called, part

Nodes = dict[str, Any]


@pytest.fixture
def serve() -> Iterator[FakeServe]:
    fake = FakeServe()
    yield fake
    fake.stop()


def images(count: int, height: int = 24, width: int = 32) -> Tensor:
    """IMAGE of an 8-bit film, in which every frame differs."""
    levels = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
    return torch.from_numpy(levels.astype(np.float32) / 255)


def enlarged(frames: Tensor, scale: int) -> Tensor:
    """What mock engines and servers make of it."""
    return frames.repeat_interleave(scale, 1).repeat_interleave(scale, 2)


def close(made: Tensor, expected: Tensor, within: float) -> bool:
    return made.shape == expected.shape and float((made - expected).abs().max()) <= within


@pytest.mark.parametrize("count", [1, 9, 40])
def test_frames_go_in_and_come_out(comfyui: FakeComfyUI, nodes: Nodes, mocks: Mocks, count: int) -> None:
    frames = images(count)
    made = called(nodes["FlashVSRUpscale"], frames=frames, scale=3)
    assert made.dtype == torch.float32
    assert close(made, enlarged(frames, 3), 1e-7)  # 8-bit levels are 16-bit levels
    assert [(bar.total, bar.done) for bar in comfyui.bars] == [(count, count)]
    assert mocks.sessions_left_open == 0


def test_levels_outside_the_range_and_of_half_precision_are_understood(nodes: Nodes, mocks: Mocks) -> None:
    frames = torch.full((3, 16, 16, 3), 0.25, dtype=torch.float16)
    frames[0], frames[1] = 1.5, float("nan")
    made = called(nodes["FlashVSRUpscale"], frames=frames)
    assert [round(float(level), 4) for level in made[:, 0, 0, 0]] == [1.0, 0.0, 0.25]
    assert mocks.sessions_left_open == 0


def test_the_picture_is_the_engines_own(nodes: Nodes) -> None:
    frames = images(10)
    options = {"tiled_dit": True, "tile_size": 32, "tile_overlap": 8, "attention_mode": "sparse_sage_attention"}
    engine = FlashVSREngine.load(engine_config(device="cpu", precision="fp32", scale=2, **options))
    with engine.open(width=32, height=24, seed=5, output="float") as session:
        levels = (frames * 255).round().to(torch.uint8)
        exact = (torch.cat([session.push(levels), session.finish()]).clamp(-1, 1) + 1) / 2
    made = called(nodes["FlashVSRUpscaleAll"], frames=frames, device="cpu", precision="fp32", seed=5, **options)
    assert close(made, exact, 0.5 / 65535 + 1e-6)


def test_a_pipe_asks_for_the_same_engine(nodes: Nodes, mocks: Mocks) -> None:
    engine = {"mode": "tiny-long", "device": "cpu", "precision": "fp32"}
    stream = {"tile_size": 64, "tile_overlap": 16, "kv_ratio": 2.0, "color_fix": False}
    pipe = called(nodes["FlashVSRInit"], **engine, force_offload=False)
    called(nodes["FlashVSRUpscaleAdvanced"], pipe=pipe, frames=images(2), **stream)
    called(nodes["FlashVSRUpscaleAll"], frames=images(2), **engine, **stream)
    (asked,) = mocks.loads
    assert {name: getattr(asked, name) for name in (*engine, *stream)} == {**engine, **stream}


def test_an_engine_is_kept_while_the_options_are(nodes: Nodes, mocks: Mocks) -> None:
    frames = images(2)
    for seed in (0, 1):
        called(nodes["FlashVSRUpscale"], frames=frames, seed=seed, scale=2 + seed)
    assert len(mocks.loads) == 1
    called(nodes["FlashVSRUpscale"], frames=frames, mode="tiny-long")
    assert [one.mode for one in mocks.loads] == ["tiny", "tiny-long"]
    assert mocks.closed == mocks.transports[:1]


def test_comfyui_has_its_memory_back(comfyui: FakeComfyUI, nodes: Nodes, mocks: Mocks) -> None:
    frames = images(2)
    for times in (1, 2):
        called(nodes["FlashVSRUpscale"], frames=frames)
        assert mocks.closed == mocks.transports[: times - 1]
        comfyui.unload_models()
        assert mocks.closed == mocks.transports[:times]
    assert len(mocks.loads) == 2


def test_an_engine_that_is_not_to_be_kept_is_given_up(nodes: Nodes, mocks: Mocks) -> None:
    frames = images(2)
    called(nodes["FlashVSRUpscale"], frames=frames, unload_dit=True)
    assert mocks.loads[0].unload_dit
    assert mocks.closed == mocks.transports[:1]
    for offload in (True, False):
        pipe = called(nodes["FlashVSRInit"], force_offload=offload)
        called(nodes["FlashVSRUpscaleAdvanced"], pipe=pipe, frames=frames)
        assert mocks.closed == mocks.transports[:2]
    assert len(mocks.loads) == 3


def test_other_models_leave_the_device_that_the_engine_plans_for(
    comfyui: FakeComfyUI, nodes: Nodes, mocks: Mocks
) -> None:
    comfyui.device = "cuda:0"
    called(nodes["FlashVSRUpscaleAll"], frames=images(2), device="cpu")
    assert comfyui.made_room == []
    called(nodes["FlashVSRUpscaleAll"], frames=images(2))
    assert comfyui.made_room == [comfyui.loaded]
    assert len(mocks.loads) == 2


@pytest.mark.parametrize("asked", [0, 1, 25])
def test_cancelling_ends_the_run_and_its_session(comfyui: FakeComfyUI, nodes: Nodes, mocks: Mocks, asked: int) -> None:
    comfyui.frames_until_cancel = asked
    with pytest.raises(Interrupted):
        called(nodes["FlashVSRUpscale"], frames=images(60))
    assert comfyui.bars[0].done == max(0, asked - 1)
    assert mocks.sessions_left_open == 0
    assert len(called(nodes["FlashVSRUpscale"], frames=images(3))) == 3
    assert len(mocks.loads) == 1


def test_only_the_result_is_held_whole(nodes: Nodes, mocks: Mocks) -> None:
    def peak(count: int) -> int:
        frames = images(count, 48, 64)
        tracemalloc.start()  # numpy's memory: the result and the input are torch's
        called(nodes["FlashVSRUpscale"], frames=frames, scale=4)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(40)
    assert peak(240) < 1.2 * peak(80)
    assert mocks.sessions_left_open == 0


@pytest.mark.parametrize(
    ("frames", "inputs", "kind", "sentence"),
    [
        (torch.zeros(2, 16, 16, 4), {}, InputError, "frames are 2 x 16 x 16 x 4; .* 'Split Image with Alpha'"),
        (torch.zeros(2, 16, 16), {}, InputError, "frames are 2 x 16 x 16; the engine takes"),
        (torch.zeros(0, 16, 16, 3), {}, InputError, "there are no frames: give at least one"),
        (torch.zeros(2, 8, 8, 3), {}, InputError, "frames of 8x8: width and height must be 16 or more"),
        (torch.zeros(2, 16, 16, 3), {"scale": 5}, UsageError, "scale 5: the engine upscales by 2, 3 or 4"),
        (torch.zeros(2, 16, 16, 3), {"mode": "huge"}, UsageError, "mode is 'huge'; allowed: tiny, tiny-long, full"),
        (torch.zeros(2, 16, 16, 3), {"local_range": 10}, UsageError, "local_range is 10; allowed: 9, 11"),
        (torch.zeros(2, 16, 16, 3), {"tile_overlap": 200}, UsageError, "tile_overlap is 200; .* at most half of it"),
        (torch.zeros(2, 16, 16, 3), {"model": "FlashVSR"}, UsageError, "no folder .*FlashVSR; .*--version 1.0 --dir"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    nodes: Nodes, mocks: Mocks, frames: Tensor, inputs: dict[str, Any], kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence) as caught:
        called(nodes["FlashVSRUpscaleAll"], frames=frames, **inputs)
    assert "\n" not in str(caught.value)
    assert mocks.sessions_left_open == 0


def test_a_result_that_memory_cannot_hold_is_refused_first(comfyui: FakeComfyUI, nodes: Nodes, mocks: Mocks) -> None:
    comfyui.free = 1 << 30
    with pytest.raises(InputError, match=r"100 frames of 2560x1440 take 4.1 GiB as IMAGE, and 1.0 GiB are free: give"):
        called(nodes["FlashVSRUpscale"], frames=torch.zeros(1, 1, 1, 3).expand(100, 360, 640, 3), scale=4)
    assert all(one.opened == 0 for one in mocks.transports)


def test_a_pipe_of_another_package_is_refused(nodes: Nodes) -> None:
    with pytest.raises(UsageError, match="pipe is a tuple of another package: connect a FlashVSR Init"):
        called(nodes["FlashVSRUpscaleAdvanced"], pipe=(object(), True), frames=images(1))


@pytest.mark.parametrize("through_a_pipe", [False, True])
def test_a_server_does_the_work(nodes: Nodes, mocks: Mocks, serve: FakeServe, through_a_pipe: bool) -> None:
    frames = images(9)
    if through_a_pipe:
        pipe = called(nodes["FlashVSRInit"], server=serve.address)
        made = called(nodes["FlashVSRUpscaleAdvanced"], pipe=pipe, frames=frames, scale=2)
    else:
        made = called(nodes["FlashVSRUpscale"], frames=frames, scale=2, server=f" {serve.address} ")
    assert close(made, enlarged(frames, 2), 1e-7)
    assert serve.closed == 1
    assert mocks.loads == []  # no engine in the process


def test_cancelling_does_not_wait_for_a_server_that_hangs(comfyui: FakeComfyUI, nodes: Nodes, serve: FakeServe) -> None:
    released = Event()

    def hang(context: grpc.ServicerContext) -> None:
        comfyui.cancelled = True
        released.wait(60)

    serve.before[1, 1] = hang
    try:
        with pytest.raises(Interrupted):
            called(nodes["FlashVSRUpscale"], frames=images(30), server=serve.address)
        assert not released.is_set()
    finally:
        released.set()


def test_a_server_that_is_not_there_is_said(pack: ModuleType, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(address: str) -> Client:
        return Client(transport=GrpcTransport(address, timeout=Timeout(connect=0.5), retry=RetryPolicy(attempts=1)))

    monkeypatch.setattr(part(pack, "node"), "Client", impatient)
    with pytest.raises(ServerUnreachableError, match=r"127\.0\.0\.1:1"):
        called(nodes["FlashVSRUpscale"], frames=images(1), server="127.0.0.1:1")


def film(folder: Path, count: int) -> Path:
    return encoded(folder / "film.mp4", [np.full((32, 32, 3), 4 * index, np.uint8) for index in range(count)])


def test_a_film_goes_from_file_to_file(comfyui: FakeComfyUI, nodes: Nodes, mocks: Mocks, tmp_path: Path) -> None:
    video = VideoFromFile(str(film(tmp_path, 12)))
    made = called(nodes["FlashVSRUpscaleVideo"], video=video)
    info = probe(Path(made.file))
    assert (info.width, info.height, len(list(decode(info)))) == (64, 64, 12)
    assert made.file.endswith(".mp4")
    assert Path(made.file).is_relative_to(comfyui.temporary / "temp")
    assert (comfyui.bars[0].total, comfyui.bars[0].done) == (12, 12)
    assert mocks.sessions_left_open == 0


def test_a_film_in_memory_and_its_trim_are_kept(nodes: Nodes, mocks: Mocks, tmp_path: Path) -> None:
    content = BytesIO(film(tmp_path, 12).read_bytes())
    made = called(nodes["FlashVSRUpscaleVideo"], video=VideoFromFile(content, start=0.16, duration=0.2))
    assert made.file.endswith(".mkv")
    frames = [frame.picture for frame in decode(probe(Path(made.file)))]
    assert [round(float(frame.mean()) / 4) for frame in frames] == [4, 5, 6, 7, 8]
    assert mocks.sessions_left_open == 0


def test_cancelling_a_film_leaves_none(comfyui: FakeComfyUI, nodes: Nodes, mocks: Mocks, tmp_path: Path) -> None:
    comfyui.frames_until_cancel = 8
    with pytest.raises(Interrupted):
        called(nodes["FlashVSRUpscaleVideo"], video=VideoFromFile(str(film(tmp_path, 40))))
    assert [path for path in comfyui.temporary.glob("temp/**/*") if path.is_file()] == []
    assert mocks.sessions_left_open == 0


def test_what_is_no_film_is_said(nodes: Nodes, mocks: Mocks, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    with pytest.raises(ClientError, match=r"broken\.mp4"):
        called(nodes["FlashVSRUpscaleVideo"], video=VideoFromFile(str(broken)))
    assert mocks.sessions_left_open == 0
