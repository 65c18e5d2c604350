"""One chunk of one stream, from input frames to output frames: the order of the network's parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from flashvsr_engine.color import COLOR_FIXES
from flashvsr_engine.config import ColorFix
from flashvsr_engine.devices import exact
from flashvsr_engine.frames import Output, crop, finished, upscale
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.kernels import SparseAttention
from flashvsr_engine.model import Conditioning, rotation
from flashvsr_engine.noise import NoiseSource
from flashvsr_engine.residual import add_residual
from flashvsr_engine.schedule import FRAMES_PER_LATENT, LOOK_AHEAD, TRIMMED, Chunk
from flashvsr_engine.state import StreamState
from flashvsr_engine.weights import Network


@dataclass(frozen=True, slots=True)
class Stream:
    """What stays the same over a stream. decode_latents: how many latents the decoder takes at a time."""

    geometry: Geometry
    network: Network
    conditioning: Conditioning
    attention: SparseAttention
    noise: NoiseSource
    color_fix: ColorFix
    output: Output
    decode_latents: int
    dtype: torch.dtype
    device: torch.device


@torch.inference_mode()
def run_chunk(stream: Stream, state: StreamState, frames: Tensor) -> Tensor:
    """Run the next chunk of a stream on its input frames, uint8 (T, h, w, 3); returns its output frames.

    The state is advanced in place. When this raises, the state is no longer that of any point of the stream.
    """
    chunk = Chunk(state.chunks)
    assert len(frames) == chunk.frames_in, "the caller cuts the stream by the schedule"
    with exact(stream.dtype):
        lq = upscale(frames.to(stream.device), stream.geometry)
        latents = _denoise(stream, state, chunk, lq)
        made = torch.cat(list(_decode(stream, state, chunk, latents, lq)))
    state.chunks += 1
    return made


def _denoise(stream: Stream, state: StreamState, chunk: Chunk, lq: Tensor) -> Tensor:
    """The chunk's latents (1, 16, latents, H/8, W/8): one step, noise minus velocity."""
    network, geometry = stream.network, stream.geometry
    tokens, state.projector = network.projector(lq.to(stream.dtype), state.projector)
    size = (geometry.latent_rows, geometry.latent_columns)
    noise = stream.noise.latents(chunk.first_latent, chunk.latents, *size, stream.device).to(stream.dtype)
    head_dim = network.dit.sizes.head_dim
    grid = (geometry.token_rows, geometry.token_columns)
    positions = rotation(head_dim, chunk.first_latent, chunk.latents, *grid, stream.device)
    return noise - network.dit(noise, tokens, stream.conditioning, positions, state.windows, stream.attention)


def _decode(stream: Stream, state: StreamState, chunk: Chunk, latents: Tensor, lq: Tensor) -> Iterator[Tensor]:
    """The chunk's output frames, a few latents at a time so that memory does not grow with the chunk."""
    trailing = _trailing(state, lq)
    state.lq_tail = lq[:, :, -LOOK_AHEAD:].clone()
    for start in range(0, chunk.latents, stream.decode_latents):
        end = min(start + stream.decode_latents, chunk.latents)
        guide = trailing[:, :, start * FRAMES_PER_LATENT : end * FRAMES_PER_LATENT]
        decoded, state.decoder = stream.network.tcdecoder(
            latents[:, :, start:end], guide.to(stream.dtype), state.decoder
        )
        skipped = TRIMMED if chunk.index == 0 and start == 0 else 0
        guide, decoded = guide[0, :, skipped:].transpose(0, 1), decoded[0, skipped:].float()
        y = add_residual(guide, 2 * decoded) if stream.network.manifest.residual else 2 * decoded - 1
        corrected = COLOR_FIXES[stream.color_fix](crop(y, stream.geometry), crop(guide, stream.geometry))
        yield finished(corrected, stream.output)


def _trailing(state: StreamState, lq: Tensor) -> Tensor:
    """The LQ frames that the chunk's latents stand for: the chunk's own, four frames back.

    At the start of a stream frame 0 stands in for the three frames before it.
    """
    if state.lq_tail is None:
        before = lq[:, :, :1].expand(-1, -1, TRIMMED, -1, -1)
        return torch.cat((before, lq[:, :, :-LOOK_AHEAD]), dim=2)
    return torch.cat((state.lq_tail, lq[:, :, :-LOOK_AHEAD]), dim=2)
