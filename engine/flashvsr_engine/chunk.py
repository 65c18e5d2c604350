"""One chunk of one stream, from input frames to output frames: the order of the network's parts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from flashvsr_engine.decode import decode
from flashvsr_engine.denoise import denoise
from flashvsr_engine.devices import exact
from flashvsr_engine.frames import on_device, upscale
from flashvsr_engine.model import Place
from flashvsr_engine.schedule import Chunk
from flashvsr_engine.state import StreamState
from flashvsr_engine.stream import Stream


@torch.inference_mode()
def run_chunk(stream: Stream, state: StreamState, frames: Tensor) -> Tensor:
    """Run the next chunk of a stream on its input frames, uint8 (T, h, w, 3); returns its output frames.

    The state is advanced in place. When this raises, the state is no longer that of any point of the stream.
    """
    chunk = Chunk(state.chunks)
    assert len(frames) == chunk.frames_in, "the caller cuts the stream by the schedule"
    made = compute(stream, state, chunk, on_device(frames, stream.device), chunk.first_latent)
    state.chunks += 1
    return made


def compute(stream: Stream, state: StreamState, chunk: Chunk, frames: Tensor, place: Place) -> Tensor:
    """The arithmetic of a chunk, and nothing that the host has to wait for.

    frames: on the stream's device. place: the number of the chunk's first latent. Replaces tensors of the state,
    and writes the KV cache in place.
    """
    with exact(stream.dtype):
        lq = upscale(frames, stream.geometry)
        latents = denoise(stream, state, chunk, lq, place)
        return torch.cat(list(decode(stream, state, chunk, latents, lq)))


def compute_each(
    streams: Sequence[Stream],
    states: Sequence[StreamState],
    chunks: Sequence[Chunk],
    frames: Sequence[Tensor],
    places: Sequence[Place],
) -> list[Tensor]:
    """`compute` of each of some streams, one after another."""
    return [compute(*one) for one in zip(streams, states, chunks, frames, places, strict=True)]
