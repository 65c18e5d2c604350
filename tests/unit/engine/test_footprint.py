"""A footprint put together from halves, with what is known left out, is that of two whole chunks, to the byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from flashvsr_engine import EngineConfig, FlashVSREngine, denoise
from flashvsr_engine.chunk import run_chunk
from flashvsr_engine.footprint import CUDA_LIBRARY_BYTES, Footprint
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.kernels.target import planning_for
from flashvsr_engine.live import META, LiveBytes
from flashvsr_engine.model import ProjectorMemory
from flashvsr_engine.outlines import MAKING, WRITING, Outlines
from flashvsr_engine.planner import _Blank
from flashvsr_engine.schedule import Chunk
from flashvsr_engine.steps import Steps
from flashvsr_engine.streams import weight_bytes

GEOMETRY = Geometry(160, 64, 2)
ALL = Steps(1, 8, 128, decoder_bands=4, unload_dit=True, kv_on_host=True, kv_bits=8, tile_size=64)
CASES = [
    Steps(),
    Steps(decode_latents=1, decoder_bands=2),
    Steps(unload_dit=True, projector_bands=2),
    Steps(part_tokens=128, kv_bits=8),
    Steps(kv_on_host=True, tile_size=64, tile_batch=2),  # of 5: the last batch is smaller
    replace(ALL, unload_dit=False),
    ALL,
]


class Counted:
    """A residency that counts what would be on the device."""

    def __init__(self, live: LiveBytes, weights: int) -> None:
        self._live, self._weights, self._present = live, weights, False

    @contextmanager
    def present(self, then_unload: bool) -> Iterator[None]:
        if not self._present:
            self._live.add(self._weights)
        yield
        self._present = not then_unload
        if then_unload:
            self._live.add(-self._weights)


def whole(engine: FlashVSREngine, geometry: Geometry, steps: Steps, outlines: Outlines | None) -> Footprint:
    """What is alive at most over the first two chunks, nothing left out."""
    live, dit = LiveBytes(outlines), weight_bytes(engine._network.dit)
    streams = replace(engine._streams.on_meta(), residency=Counted(live, dit))
    stream = streams.stream(geometry, steps, _Blank(), "uint8")
    state = streams.state(stream)
    held = state.kv.device_bytes + Chunk(0).frames_in * geometry.height * geometry.width * 3
    library = CUDA_LIBRARY_BYTES if engine.device.type == "cuda" else 0
    live.add(engine._planner._weights() - dit + held + library)
    live.know([*stream.tensors(), *state.kv.tensors()])
    with planning_for(engine.device):
        for _ in range(2):
            size = (Chunk(state.chunks).frames_in, geometry.height, geometry.width, 3)
            frames = torch.empty(size, dtype=torch.uint8, device=META)
            with live:
                run_chunk(stream, state, frames)
    held += sum(t.nbytes for t in state.on_device())
    return engine._planner._as_process(Footprint(held, state.kv.host_bytes, live.peak))


@pytest.fixture(scope="module")
def on_paper(engine: FlashVSREngine) -> FlashVSREngine:
    """The same network as it would be on a card."""
    config = EngineConfig(device="cuda", precision="bf16", scale=2, cuda_graphs=False)
    network = engine._streams.on_meta().network
    for part in network.parts():
        part.to(dtype=torch.bfloat16)
    return FlashVSREngine(
        config, replace(network, prompt=network.prompt.to(META)), torch.device("cuda"), torch.bfloat16
    )


@pytest.mark.parametrize("where", ["engine", "on_paper"])
def test_halves_make_the_whole(where: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda _=None: (8, 9))
    engine: FlashVSREngine = request.getfixturevalue(where)
    found = [engine._planner._footprint(GEOMETRY, steps) for steps in CASES]
    monkeypatch.setattr(denoise, "takes_the_same", lambda *_: False)
    outlines = Outlines()
    for steps, footprint in zip(CASES, found, strict=True):
        assert footprint == whole(engine, GEOMETRY, steps, outlines), steps
    if engine.device.type == "cuda":
        assert found[1] == whole(engine, GEOMETRY, CASES[1], None)
    assert len({footprint.peak for footprint in found}) > 3


@pytest.mark.parametrize("unload", [False, True])
def test_weights_that_leave_are_not_there_for_the_rest(
    engine: FlashVSREngine, monkeypatch: pytest.MonkeyPatch, unload: bool
) -> None:
    """With a DiT that dwarfs all else, and much room wanted after it for joining what is remembered of tiles."""
    joined = ProjectorMemory.joined

    def wasteful(parts: Sequence[ProjectorMemory]) -> ProjectorMemory:
        torch.empty(1 << 29, device=META)
        return joined(parts)

    monkeypatch.setattr(ProjectorMemory, "joined", wasteful)
    monkeypatch.setattr(engine._network.dit, "ballast", torch.nn.Parameter(torch.empty(1 << 30, device=META)), False)
    steps = replace(ALL, unload_dit=unload)
    fresh = FlashVSREngine(engine.config, engine._network, engine.device, engine.dtype)
    assert fresh._planner._footprint(GEOMETRY, steps) == whole(fresh, GEOMETRY, steps, Outlines())


def test_a_ladder_measures_each_half_once(engine: FlashVSREngine) -> None:
    fresh = FlashVSREngine(engine.config, engine._network, engine.device, engine.dtype)._planner
    for steps in CASES:
        fresh._footprint(GEOMETRY, steps)
    assert len(fresh._first) == len({steps.first_half for steps in CASES}) < len(CASES)
    assert len(fresh._second) == len({steps.second_half for steps in CASES}) < len(fresh._first)


def test_what_is_remembered_is_what_torch_makes() -> None:
    outlines = Outlines()
    x = torch.empty(2, 6, 5, 8, device=META).permute(0, 3, 1, 2)
    weight = torch.empty(4, 8, 3, 3, device=META)
    calls = [
        (torch.ops.aten.conv2d.default, (x, weight, None, [1, 1], [0, 1])),
        (torch.ops.aten.clone.default, (x,)),
        (torch.ops.aten.cat.default, ([x, x], 2)),
        (torch.ops.aten.add.Tensor, (x, 1)),
        (torch.ops.aten.add.Tensor, (x.int(), 1)),
        (torch.ops.aten.add.Tensor, (x.int(), 1.0)),
    ]
    for func, args in [*calls, *calls]:
        assert func in MAKING
        made, expected = outlines(func, args, {}), func(*args)
        assert (made.shape, made.stride(), made.dtype) == (expected.shape, expected.stride(), expected.dtype)
    assert len(outlines) == len(calls)


def test_tensors_with_values_are_computed() -> None:
    outlines = Outlines()
    x = torch.tensor([-1.0, 2.0])
    write = torch.ops.aten.leaky_relu_.default
    assert write in WRITING
    assert outlines(write, (x, 0.5), {}).tolist() == [-0.5, 2.0]
    for _ in range(2):
        assert outlines(torch.ops.aten.add.Tensor, (x, x), {}).tolist() == [-1.0, 4.0]
