"""What a stream will take, said before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from flashvsr_engine.config import AttentionConfig
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.model.projector import CONTEXT_FRAMES
from flashvsr_engine.model.windows import WINDOW_TOKENS
from flashvsr_engine.schedule import CHUNK, FIRST_CHUNK, FRAMES_PER_LATENT, LOOK_AHEAD
from flashvsr_engine.weights import Network

FLOAT32 = torch.float32.itemsize
_MEM_BLOCKS_PER_STAGE = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes in pixels, frames and bytes of one stream.

    first_chunk: frames wanted before the first output; chunk: frames for each later one; look_ahead: by how many
    frames output trails input. state_bytes: what the session holds between calls. peak_bytes: an estimate of the
    device memory in use while a chunk runs, weights included. local_range: the one in force.
    """

    width: int
    height: int
    scale: int
    out_width: int
    out_height: int
    padded_width: int
    padded_height: int
    first_chunk: int
    chunk: int
    look_ahead: int
    local_range: int
    state_bytes: int
    peak_bytes: int


def make_plan(
    geometry: Geometry, network: Network, attention: AttentionConfig, dtype: torch.dtype, decode_latents: int
) -> Plan:
    """The plan of a stream of this geometry on this network."""
    state = state_bytes(geometry, network, attention, dtype)
    parts = (network.projector, network.dit, network.tcdecoder)
    weights = sum(p.nbytes for part in parts for p in part.parameters())
    return Plan(
        width=geometry.width,
        height=geometry.height,
        scale=geometry.scale,
        out_width=geometry.out_width,
        out_height=geometry.out_height,
        padded_width=geometry.padded_width,
        padded_height=geometry.padded_height,
        first_chunk=FIRST_CHUNK,
        chunk=CHUNK,
        look_ahead=LOOK_AHEAD,
        local_range=local_range(attention, network),
        state_bytes=state,
        peak_bytes=weights + state + _activation_bytes(geometry, network, dtype, decode_latents),
    )


def local_range(attention: AttentionConfig, network: Network) -> int:
    """The configured range, narrowed to what the model was trained with."""
    trained = network.manifest.max_local_range
    return attention.local_range if trained is None else min(attention.local_range, trained)


def state_bytes(geometry: Geometry, network: Network, attention: AttentionConfig, dtype: torch.dtype) -> int:
    """Bytes of `StreamState` in steady state, at most: with a chunk's worth of frames waiting."""
    tokens = geometry.blocks * WINDOW_TOKENS
    sizes = network.dit.sizes
    kv = 2 * (attention.kv_slices + 1) * tokens * sizes.dim * sizes.blocks * dtype.itemsize
    projector = 0
    if network.version == "1.1":
        channels = sum(conv.weight.shape[1] for conv in (network.projector.conv1, network.projector.conv2))
        projector = CONTEXT_FRAMES * channels * geometry.token_rows * geometry.token_columns * dtype.itemsize
    decoder = sum(
        _MEM_BLOCKS_PER_STAGE * channels * (geometry.pixels >> 6 << 2 * stage) * dtype.itemsize
        for stage, channels in enumerate(_decoder_channels(network)[:3])
    )
    tail = 3 * LOOK_AHEAD * geometry.pixels * FLOAT32
    waiting = FIRST_CHUNK * 3 * geometry.width * geometry.height
    return kv + projector + decoder + tail + waiting


def _activation_bytes(geometry: Geometry, network: Network, dtype: torch.dtype, decode_latents: int) -> int:
    """The larger of what the first chunk's DiT and the decoder's last stage hold at once, beside the LQ frames."""
    sizes = network.dit.sizes
    tokens = 3 * geometry.blocks * WINDOW_TOKENS
    lq = 3 * (2 * FIRST_CHUNK) * geometry.pixels * FLOAT32
    dit = tokens * (8 * sizes.dim + 2 * sizes.ffn) * dtype.itemsize + 2 * tokens * sizes.dim * FLOAT32
    frames = decode_latents * FRAMES_PER_LATENT
    _, _, c2, c3 = _decoder_channels(network)
    decoder = frames * geometry.pixels * ((c2 + 2 * c3) * dtype.itemsize + 6 * FLOAT32)
    return lq + max(dit, decoder)


def _decoder_channels(network: Network) -> tuple[int, ...]:
    return network.tcdecoder.sizes.channels
