"""Makes streams and their states: the one place that knows what a stream is put together from."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from flashvsr_engine.chunk import compute_each
from flashvsr_engine.config import EngineConfig
from flashvsr_engine.errors import OutOfMemoryError
from flashvsr_engine.feed import Feed
from flashvsr_engine.frames import Output
from flashvsr_engine.geometry import BLOCK_PIXELS, Geometry
from flashvsr_engine.graphs import ChunkGraphs, GraphPool, recordable
from flashvsr_engine.kernels import BlockGrid, SparseAttention
from flashvsr_engine.kvcache import KVCache, KVSpec
from flashvsr_engine.live import META
from flashvsr_engine.model import Conditioning, DiT
from flashvsr_engine.model.windows import WINDOW_TOKENS
from flashvsr_engine.noise import NoiseSource
from flashvsr_engine.plan import Plan
from flashvsr_engine.residency import Residency, Uncounted
from flashvsr_engine.state import StreamState
from flashvsr_engine.steps import Steps
from flashvsr_engine.stream import Stream, TileBatch
from flashvsr_engine.tiling import TileGrid
from flashvsr_engine.weights import Network

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Streams:
    """What the streams of one engine share.

    host: where tensors go that leave the device. pool: of CUDA graphs, where there are to be some. planned: what a
    meta device stands for.
    """

    config: EngineConfig
    network: Network
    conditioning: Conditioning
    residency: Residency
    device: torch.device
    dtype: torch.dtype
    host: torch.device
    pool: GraphPool | None = None
    planned: torch.device | None = None

    def stream(self, geometry: Geometry, steps: Steps, noise: NoiseSource, output: Output) -> Stream:
        """A stream, without state."""
        tiles = tile_grid(geometry, steps)
        return Stream(
            geometry=geometry,
            network=self.network,
            residency=self.residency,
            conditioning=self.conditioning,
            attention=self._attention(tiles),
            noise=noise,
            color_fix=self.config.color_fix,
            output=output,
            steps=steps,
            tiles=tiles,
            batch=TileBatch(steps.tile_batch, self.config.adaptive_batch_size),
            dtype=self.dtype,
            device=self.device,
        )

    def feed(self, stream: Stream, state: StreamState, plan: Plan) -> Feed:
        """A stream with its state, ready for frames."""
        graphs = None
        if self.pool is not None and plan.graph_bytes and recordable(stream, state):
            graphs = ChunkGraphs([stream], self.pool, compute_each)
        return Feed(stream, state, graphs)

    def state(self, stream: Stream) -> StreamState:
        """The state of a stream at its start. OutOfMemoryError when the device has no room for it."""
        geometry = stream.geometry
        where = META if self.device == META else torch.device("cpu")
        nothing = torch.empty(0, geometry.height, geometry.width, 3, dtype=torch.uint8, device=where)
        try:
            cache = KVCache(self._kv_spec(stream), self.device, self.host)
        except torch.OutOfMemoryError as error:
            raise OutOfMemoryError(
                f"{self.device} has no memory left for another stream: close other sessions or programs on it."
            ) from error
        return StreamState(kv=cache, pending=nothing, last_frame=nothing)

    def on_meta(self) -> Streams:
        """The same with weights that have shapes and no values, for a plan."""
        network = replace(
            self.network,
            projector=_on_meta(self.network.projector),
            dit=_two_blocks(_on_meta(self.network.dit)),
            tcdecoder=_on_meta(self.network.tcdecoder) if self.network.tcdecoder else None,
            vae=_on_meta(self.network.vae) if self.network.vae else None,
        )
        conditioning = Conditioning(
            blocks=tuple(t.to(META) for t in self.conditioning.blocks),
            head=self.conditioning.head.to(META),
            context=tuple((k.to(META), v.to(META)) for k, v in self.conditioning.context),
        )
        return replace(
            self,
            network=network,
            conditioning=conditioning,
            residency=Uncounted(),
            device=META,
            host=META,
            planned=self.device,
        )

    @property
    def local_range(self) -> int:
        """The configured range, narrowed to what the model was trained with."""
        asked, trained = self.config.attention.local_range, self.network.manifest.max_local_range
        return asked if trained is None else min(asked, trained)

    def _attention(self, tiles: TileGrid) -> SparseAttention:
        asked, head_dim = self.config.attention, self.network.dit.sizes.head_dim
        grid, device = self._block_grid(tiles), self.planned or self.device
        return SparseAttention(grid, device, asked.backend, self.dtype, head_dim, asked.cross_backend)

    def _block_grid(self, tiles: TileGrid) -> BlockGrid:
        attention = self.config.attention
        rows, columns = tiles.tile_height // BLOCK_PIXELS, tiles.tile_width // BLOCK_PIXELS
        return BlockGrid(
            rows=rows,
            columns=columns,
            topk=attention.topk(rows * columns, tiles.tile_pixels),
            local_range=self.local_range,
            block_kv=attention.block_kv,
        )

    def _kv_spec(self, stream: Stream) -> KVSpec:
        sizes = self.network.dit.sizes
        return KVSpec(
            layers=sizes.blocks,
            slices=self.config.attention.kv_slices,
            slice_tokens=stream.attention.grid.blocks * WINDOW_TOKENS,
            heads=sizes.heads,
            head_dim=sizes.head_dim,
            key_block=stream.attention.grid.block_kv,
            dtype=self.dtype,
            batch=len(stream.tiles),
            bits=stream.steps.kv_bits,
            on_host=stream.steps.kv_on_host,
        )


def tile_grid(geometry: Geometry, steps: Steps) -> TileGrid:
    """The tiles that the steps ask for."""
    if steps.tile_size is None:
        return TileGrid.whole(geometry)
    return TileGrid.cut(geometry, steps.tile_size, min(steps.tile_overlap, steps.tile_size // 2))


def weight_bytes(module: nn.Module) -> int:
    """Bytes of a module's parameters."""
    return sum(parameter.nbytes for parameter in module.parameters())


def _two_blocks(dit: DiT) -> DiT:
    """The DiT cut short: its blocks are alike, so two need as much room for their work as thirty."""
    dit.blocks = dit.blocks[:2]
    return dit


def _on_meta(module: M) -> M:
    """A copy whose parameters hold no memory."""
    twins: dict[int, Tensor] = {
        id(p): nn.Parameter(torch.empty_like(p, device=META), requires_grad=False) for p in module.parameters()
    }
    twins |= {id(buffer): torch.empty_like(buffer, device=META) for buffer in module.buffers()}
    return copy.deepcopy(module, twins)
