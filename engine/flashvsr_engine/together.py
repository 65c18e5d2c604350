"""Several streams of one shape through the network at once.

What concerns each token or each pixel by itself runs as one batch. Each stream keeps its own KV cache and memories:
they are joined for the chunk and handed back after it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from flashvsr_engine.decode import Guides, decoded_frames, finished_frames
from flashvsr_engine.denoise import noise_of, positions_of
from flashvsr_engine.devices import exact
from flashvsr_engine.frames import upscale
from flashvsr_engine.kvwindow import ChunkWindows, JointWindows
from flashvsr_engine.model import Place, ProjectorMemory, Rotation
from flashvsr_engine.schedule import Chunk
from flashvsr_engine.state import StreamState
from flashvsr_engine.stream import Stream


def shape(stream: Stream, state: StreamState) -> object | None:
    """What streams must have in common for their next chunks to run together; None for one that must run by itself.

    The first chunks are long, and windows that are still being filled differ in length.
    """
    joinable = stream.steps.plain and stream.network.vae is None
    if not joinable or not state.chunks or state.kv.used < state.kv.spec.capacity:
        return None
    return (stream.geometry, stream.output, stream.steps)


@torch.inference_mode()
def compute_together(
    streams: Sequence[Stream],
    states: Sequence[StreamState],
    chunks: Sequence[Chunk],
    frames: Sequence[Tensor],
    places: Sequence[Place],
) -> list[Tensor]:
    """The steady chunks of streams of one shape; see `chunk.compute`."""
    with exact(streams[0].dtype):
        lqs = [upscale(taken, stream.geometry) for taken, stream in zip(frames, streams, strict=True)]
        latents = _latents(streams, states, chunks, places, torch.cat(lqs))
        return _decoded(streams, states, latents, lqs)


def _latents(
    streams: Sequence[Stream],
    states: Sequence[StreamState],
    chunks: Sequence[Chunk],
    places: Sequence[Place],
    lq: Tensor,
) -> Tensor:
    """The chunks' latents (streams, 16, 2, H/8, W/8)."""
    stream, starts = streams[0], list(zip(streams, chunks, places, strict=True))
    memory = ProjectorMemory.joined([state.projector for state in states])
    with stream.residency.present(then_unload=False):
        tokens, memory = stream.network.projector(lq.to(stream.dtype), memory)
        noise = torch.cat([noise_of(*start) for start in starts])
        positions = Rotation.stacked([positions_of(*start) for start in starts])
        windows = JointWindows([ChunkWindows(state.kv, 1) for state in states])
        velocity = stream.network.dit(noise, tokens, stream.conditioning, positions, windows, stream.attention)
    for i, state in enumerate(states):
        state.projector = ProjectorMemory(*(t.clone() for t in memory.part(i, i + 1).tensors()))
        state.kv.advance(1)
    return noise - velocity


def _decoded(
    streams: Sequence[Stream], states: Sequence[StreamState], latents: Tensor, lqs: Sequence[Tensor]
) -> list[Tensor]:
    """The chunks' output frames."""
    guides = [Guides(state.lq_tail, lq) for state, lq in zip(states, lqs, strict=True)]
    guide = torch.cat([g.of_latents(0, latents.shape[2]) for g in guides])
    memory = tuple(torch.cat(frames) for frames in zip(*(state.decoder or () for state in states), strict=True))
    decoded, kept = decoded_frames(streams[0], latents, guide, memory)
    for i, state in enumerate(states):
        state.lq_tail = guides[i].tail
        state.decoder = tuple(t[i : i + 1].clone() for t in kept)  # a view would hold the others' as well
    return [finished_frames(stream, decoded[i], guide[i], skipped=0) for i, stream in enumerate(streams)]
