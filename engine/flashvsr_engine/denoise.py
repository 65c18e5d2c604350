"""The first half of a chunk: upscaled input and noise -> latents, tile by tile where the stream has tiles."""

from __future__ import annotations

import torch
from torch import Tensor

from flashvsr_engine.geometry import LATENT_PIXELS, TOKEN_PIXELS
from flashvsr_engine.kvwindow import ChunkWindows
from flashvsr_engine.model import Place, ProjectorMemory, Rotation, rotation
from flashvsr_engine.model.windows import WINDOW_LATENTS
from flashvsr_engine.schedule import Chunk
from flashvsr_engine.state import StreamState
from flashvsr_engine.stream import Stream


def denoise(stream: Stream, state: StreamState, chunk: Chunk, lq: Tensor, place: Place) -> Tensor:
    """The chunk's latents (1, 16, latents, H/8, W/8): one step, noise minus velocity.

    lq: (1, 3, frames, H, W) in [-1, 1]. place: number of the chunk's first latent. The state is
    advanced when all tiles are done, not before.
    """
    with stream.residency.present(then_unload=stream.steps.unload_dit):
        latents, memories = _tiles(stream, state, chunk, lq.to(stream.dtype), place)
    state.projector = ProjectorMemory.joined(memories)
    state.kv.advance(chunk.latents // WINDOW_LATENTS)
    return latents


def noise_of(stream: Stream, chunk: Chunk, place: Place) -> Tensor:
    """The chunk's noise (1, 16, latents, H/8, W/8)."""
    size = (stream.geometry.latent_rows, stream.geometry.latent_columns)
    return stream.noise.latents(place, chunk.latents, *size, stream.device).to(stream.dtype)


def positions_of(stream: Stream, chunk: Chunk, place: Place) -> Rotation:
    """The rotation of the chunk's tokens, the same for every tile."""
    grid = (stream.tiles.tile_height // TOKEN_PIXELS, stream.tiles.tile_width // TOKEN_PIXELS)
    return rotation(stream.network.dit.sizes.head_dim, place, chunk.latents, *grid, stream.device)


def _tiles(
    stream: Stream, state: StreamState, chunk: Chunk, lq: Tensor, place: Place
) -> tuple[Tensor, list[ProjectorMemory]]:
    """The blended latents, and what the projector remembers of each batch of tiles."""
    tiles = stream.tiles
    if len(tiles) == 1:
        tokens, memory = _projected(
            stream, state, lq, 0, 1
        )  # first, as it keeps the device busy while more is launched
        noise = noise_of(stream, chunk, place)
        return _denoised(stream, state, chunk, noise, tokens, positions_of(stream, chunk, place), 0, 1), [memory]
    noise, positions = noise_of(stream, chunk, place), positions_of(stream, chunk, place)
    blended = torch.zeros_like(noise, dtype=torch.float32)
    memories = list[ProjectorMemory]()
    start = 0
    while start < len(tiles):
        stop = min(start + stream.batch.size, len(tiles))
        if takes_the_same(lq, start, stop, len(tiles)):
            memories.append(memories[-1].like())
            start = stop
            continue
        try:
            tokens, memory = _projected(stream, state, stream.cut(lq, start, stop), start, stop)
            own = stream.cut(noise, start, stop, LATENT_PIXELS)
            made = _denoised(stream, state, chunk, own, tokens, positions, start, stop)
        except torch.OutOfMemoryError:
            if not stream.batch.lower():
                raise
            continue
        stream.blend(blended, made, start)
        memories.append(memory)
        start = stop
    return blended.to(noise.dtype), memories


def takes_the_same(lq: Tensor, start: int, stop: int, count: int) -> bool:
    """Whether tiles start .. stop - 1 of `count` can be left out, as a plan alone is made and it has seen their like.

    From the second full batch on all find the same in memory, and what the projector remembers of those before; so the
    last one takes most. A smaller batch after it is run as well.
    """
    size = stop - start
    return lq.is_meta and start >= 2 * size and stop + size <= count


def _projected(
    stream: Stream, state: StreamState, lq: Tensor, start: int, stop: int
) -> tuple[list[Tensor], ProjectorMemory]:
    """LQ tokens of the tiles from `start` to `stop`, and what the projector remembers of them."""
    return stream.network.projector(lq, state.projector.part(start, stop), stream.steps.projector_bands)


def _denoised(
    stream: Stream,
    state: StreamState,
    chunk: Chunk,
    noise: Tensor,
    tokens: list[Tensor],
    positions: Rotation,
    start: int,
    stop: int,
) -> Tensor:
    """Latents of the tiles from `start` to `stop`. Running them again is fine as long as the state is not advanced."""
    windows = ChunkWindows(state.kv.part(start, stop), chunk.latents // WINDOW_LATENTS)
    try:
        velocity = stream.network.dit(
            noise, tokens, stream.conditioning, positions, windows, stream.attention, stream.steps.part_tokens
        )
    finally:
        windows.finish()
    return noise - velocity
