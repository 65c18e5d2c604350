"""Steady chunks as CUDA graphs: what takes the host a thousand launches is launched by one.

Small pictures wait for the host: at 512x512 the device is busy for less than half of a chunk's time
(bench/RESULTS.md). A graph holds addresses, so it belongs to the states of its streams: between chunks a state lies in
the same tensors, into which the graph copies what it made of them. The KV ring is written at a place that goes round
with the chunks, hence one graph for each place.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Protocol
from weakref import WeakSet

import torch
from torch import Tensor

from flashvsr_engine.frames import empty_output, on_device
from flashvsr_engine.model import Place
from flashvsr_engine.noise import CounterNoise
from flashvsr_engine.schedule import CHUNK, Chunk
from flashvsr_engine.state import StreamState
from flashvsr_engine.stream import Stream

MAX_PLACES = 8
"""Longer rings would need as many graphs, each of which takes a chunk's time to record."""
FIRST_RECORDED = 4
"""Chunk; shorter streams are done before it pays. The kernels are compiled by then."""
RECORDABLE = ("triton", "triton-int8")
"""Attention that reads nothing of the mask on the host."""


class Compute(Protocol):
    """The arithmetic of a chunk of each of some streams, and nothing that the host has to wait for."""

    def __call__(
        self,
        streams: Sequence[Stream],
        states: Sequence[StreamState],
        chunks: Sequence[Chunk],
        frames: Sequence[Tensor],
        places: Sequence[Place],
    ) -> list[Tensor]:
        """Output frames; replaces tensors of the states. See `chunk.compute`."""


def recordable(stream: Stream, state: StreamState) -> bool:
    """Whether a stream's chunks can be recorded, provided that its plan has room for it."""
    return (
        isinstance(stream.noise, CounterNoise)
        and stream.attention.backend in RECORDABLE
        and state.kv.spec.capacity <= MAX_PLACES
    )


def steady(state: StreamState) -> bool:
    """Whether the next chunk is like all that follow, and worth recording."""
    return state.chunks >= FIRST_RECORDED and state.kv.used == state.kv.spec.capacity


class GraphPool:
    """The memory that all graphs of an engine work in, one after another, and the stream they are recorded on."""

    def __init__(self, device: torch.device) -> None:
        self.side = torch.cuda.Stream(device)
        self._living = WeakSet[torch.cuda.CUDAGraph]()
        self._handle = torch.cuda.graph_pool_handle()

    def begin(self, graph: torch.cuda.CUDAGraph) -> None:
        """Start recording a graph, on the current stream. When no other is alive, torch wants another pool."""
        if not self._living:
            self._handle = torch.cuda.graph_pool_handle()
        self._living.add(graph)
        graph.capture_begin(pool=self._handle, capture_error_mode="thread_local")

    def settle(self) -> None:
        """Give memory back to the device when the last graph is gone."""
        if not self._living:
            torch.cuda.empty_cache()


class ChunkGraphs:
    """Runs steady chunks of some streams of one shape, recorded when they come up for the first time."""

    def __init__(self, streams: Sequence[Stream], pool: GraphPool, compute: Compute) -> None:
        geometry, device = streams[0].geometry, streams[0].device
        self._streams = streams
        self._pool = pool
        self._compute = compute
        self._graphs: dict[tuple[int, ...], torch.cuda.CUDAGraph] = {}
        self._frames: list[Tensor] = []
        self._places = [torch.zeros((), dtype=torch.int64, device=device) for _ in streams]
        self._made = [empty_output(CHUNK, geometry, stream.output, device) for stream in streams]

    def run(self, states: Sequence[StreamState], frames: Sequence[Tensor]) -> list[Tensor]:
        """Run the next chunk of each state, all of them steady; returns their output frames."""
        key = tuple(state.kv.written % state.kv.spec.capacity for state in states)
        if not self._frames:
            self._frames = [taken.to(self._streams[0].device).clone() for taken in frames]
        graph = self._graphs.get(key) or self._record(key, states)
        for i, state in enumerate(states):
            self._frames[i].copy_(on_device(frames[i], self._frames[i].device))
            self._places[i].fill_(Chunk(state.chunks).first_latent)
        graph.replay()
        for state in states:
            state.kv.advance(1)
            state.chunks += 1
        return [made.clone() for made in self._made]  # the next chunk writes over them

    def clear(self) -> None:
        """Forget what is recorded; its memory goes back."""
        if self._graphs:
            torch.cuda.current_stream(self._made[0].device).synchronize()  # the last one may still run
            self._graphs.clear()
            self._pool.settle()

    @torch.inference_mode()
    def _record(self, key: tuple[int, ...], states: Sequence[StreamState]) -> torch.cuda.CUDAGraph:
        """The graph of the states' next chunks, which are not run."""
        graph, written = torch.cuda.CUDAGraph(), [state.kv.written for state in states]
        trials = [copy.copy(state) for state in states]  # of the same tensors
        chunks = [Chunk(state.chunks) for state in states]
        current, side = torch.cuda.current_stream(self._streams[0].device), self._pool.side
        side.wait_stream(current)
        with torch.cuda.stream(side):
            self._pool.begin(graph)
            try:
                made = self._compute(self._streams, trials, chunks, self._frames, self._places)
                _copy(made, self._made)
                for state, trial in zip(states, trials, strict=True):
                    _copy(trial.on_device(), state.on_device())
            finally:
                graph.capture_end()
                for state, count in zip(states, written, strict=True):
                    state.kv.written = count
        current.wait_stream(side)
        self._graphs[key] = graph
        return graph


def _copy(new: Sequence[Tensor], kept: Sequence[Tensor]) -> None:
    for source, target in zip(new, kept, strict=True):
        if source is not target:
            target.copy_(source)
