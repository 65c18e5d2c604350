"""Steady chunks of a stream as CUDA graphs: what takes the host a thousand launches is launched by one.

Small pictures wait for the host: at 512x512 the device is busy for less than half of a chunk's time
(bench/RESULTS.md). A graph holds addresses, so it belongs to one stream's state: between chunks the state lies in the
same tensors, into which the graph copies what it made of them. The KV ring is written at a place that goes round with
the chunks, hence one graph for each place.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from flashvsr_engine.chunk import compute, run_chunk
from flashvsr_engine.frames import empty_output
from flashvsr_engine.noise import CounterNoise
from flashvsr_engine.plan import Plan
from flashvsr_engine.schedule import CHUNK, Chunk
from flashvsr_engine.state import StreamState
from flashvsr_engine.steps import Steps
from flashvsr_engine.stream import Stream

MAX_PLACES = 8
"""Longer rings would need as many graphs, each of which takes a chunk's time to record."""
RECORDABLE = ("triton", "triton-int8")
"""Attention that reads nothing of the mask on the host."""


def suits_graphs(stream: Stream, state: StreamState, plan: Plan) -> bool:
    """Whether a stream's chunks can be recorded, and there is room for a second set of what they work in."""
    work = plan.peak_bytes - plan.weight_bytes - plan.state_bytes
    return (
        stream.device.type == "cuda"
        and isinstance(stream.noise, CounterNoise)
        and stream.steps == Steps(decode_latents=stream.steps.decode_latents)
        and stream.attention.backend in RECORDABLE
        and state.kv.spec.capacity <= MAX_PLACES
        and (plan.limit_bytes is None or plan.peak_bytes + work <= plan.limit_bytes)
    )


class GraphPool:
    """The memory that all graphs of an engine work in, one after another, and the stream they are recorded on."""

    def __init__(self, device: torch.device) -> None:
        self.side = torch.cuda.Stream(device)
        self.handle = torch.cuda.graph_pool_handle()


class ChunkGraphs:
    """Runs the chunks of one stream: the first ones one by one, then from graphs."""

    def __init__(self, stream: Stream, pool: GraphPool) -> None:
        geometry, device = stream.geometry, stream.device
        self._stream = stream
        self._pool = pool
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._frames = torch.empty(CHUNK, geometry.height, geometry.width, 3, dtype=torch.uint8, device=device)
        self._place = torch.zeros((), dtype=torch.int64, device=device)
        self._made = empty_output(CHUNK, geometry, stream.output, device)
        self._refused = False

    def run(self, state: StreamState, frames: Tensor) -> Tensor:
        """See `run_chunk`."""
        if self._refused or not _steady(state):
            return run_chunk(self._stream, state, frames)
        written, capacity = state.kv.written, state.kv.spec.capacity
        graph = self._graphs.get(written % capacity) or self._record(state)
        if graph is None:
            return run_chunk(self._stream, state, frames)
        chunk = Chunk(state.chunks)
        self._frames.copy_(frames)
        self._place.fill_(chunk.first_latent)
        graph.replay()
        state.kv.advance(1)
        state.chunks += 1
        return self._made.clone()  # the next chunk writes over it

    @torch.inference_mode()
    def _record(self, state: StreamState) -> torch.cuda.CUDAGraph | None:
        """The graph of the state's next chunk, which is not run; None, for good, where memory does not suffice."""
        graph, written = torch.cuda.CUDAGraph(), state.kv.written
        trial = copy.copy(state)  # of the same tensors
        current, side = torch.cuda.current_stream(self._stream.device), self._pool.side
        side.wait_stream(current)
        with torch.cuda.stream(side):
            graph.capture_begin(pool=self._pool.handle, capture_error_mode="thread_local")
            try:
                made = compute(self._stream, trial, Chunk(state.chunks), self._frames, self._place)
                self._made.copy_(made)
                for kept, new in zip(state.on_device(), trial.on_device(), strict=True):
                    kept.copy_(new)
            except torch.OutOfMemoryError:
                self._refused = True
            finally:
                graph.capture_end()
                state.kv.written = written
        current.wait_stream(side)
        if self._refused:
            self._graphs.clear()
            return None
        self._graphs[written % state.kv.spec.capacity] = graph
        return graph


def _steady(state: StreamState) -> bool:
    """Whether the next chunk is like all that follow, and one like it has run, which compiled its kernels."""
    return state.chunks > 1 and state.kv.written > state.kv.spec.capacity - 1
