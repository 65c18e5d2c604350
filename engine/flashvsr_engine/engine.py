"""The engine: weights on a device, from which sessions are opened."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from flashvsr_engine.chunk import Stream
from flashvsr_engine.config import EngineConfig, require, require_seed
from flashvsr_engine.devices import resolve_device, resolve_dtype
from flashvsr_engine.frames import Output
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.kernels import BlockGrid, SparseAttention
from flashvsr_engine.model.windows import WINDOW_TOKENS
from flashvsr_engine.noise import CounterNoise, NoiseSource
from flashvsr_engine.plan import Plan, local_range, make_plan
from flashvsr_engine.schedule import CHUNK_LATENTS
from flashvsr_engine.session import Session
from flashvsr_engine.state import KVWindow, StreamState
from flashvsr_engine.weights import Network, load_network


class FlashVSREngine:
    """One model on one device. It holds no stream's state: any number of sessions share it, one call at a time."""

    def __init__(self, config: EngineConfig, network: Network, device: torch.device, dtype: torch.dtype) -> None:
        self.config = config
        self.device = device
        self.dtype = dtype
        self._network = network
        with torch.inference_mode():
            self._conditioning = network.dit.condition(network.prompt)

    @classmethod
    def load(cls, config: EngineConfig) -> FlashVSREngine:
        """Load the weights that a configuration names onto its device.

        WeightsError unless every tensor of the files is used and every parameter filled; DeviceError when the
        device is absent.
        """
        device = resolve_device(config.device)
        dtype = resolve_dtype(config.precision, device)
        network = load_network(config.weights, config.version)
        for part in (network.projector, network.dit, network.tcdecoder):
            part.to(device=device, dtype=dtype)
        network.tcdecoder.to(memory_format=torch.channels_last)
        return cls(config, replace(network, prompt=network.prompt.to(device)), device, dtype)

    @property
    def name(self) -> str:
        """Name and version of the weights, such as "builtin 1.1"."""
        return f"{self._network.manifest.name} {self._network.version}"

    def plan(self, width: int, height: int, scale: int | None = None) -> Plan:
        """Sizes, memory and schedule of a stream; nothing is allocated. ConfigError for sizes not allowed."""
        geometry = self._geometry(width, height, scale)
        return make_plan(geometry, self._network, self.config.attention, self.dtype, self._decode_latents)

    def open(
        self,
        width: int,
        height: int,
        scale: int | None = None,
        seed: int | None = None,
        noise: NoiseSource | None = None,
        output: Output = "uint8",
    ) -> Session:
        """Open a stream of width x height frames, each from 16 up; ConfigError for anything not allowed.

        scale and seed default to the configuration's; noise, when given, is used in place of the seed's. Output is
        "uint8", or "float": float32 in [-1, 1] before rounding.
        """
        geometry = self._geometry(width, height, scale)
        require("output", output, ("uint8", "float"))
        seed = self.config.seed if seed is None else seed
        require_seed(seed)
        stream = Stream(
            geometry=geometry,
            network=self._network,
            conditioning=self._conditioning,
            attention=self._attention(geometry),
            noise=noise or CounterNoise(seed),
            color_fix=self.config.color_fix,
            output=output,
            decode_latents=self._decode_latents,
            dtype=self.dtype,
            device=self.device,
        )
        return Session(stream, self._new_state(geometry))

    @property
    def _decode_latents(self) -> int:
        return 1 if self.config.mode == "tiny-long" else CHUNK_LATENTS

    def _geometry(self, width: int, height: int, scale: int | None) -> Geometry:
        return Geometry(width, height, self.config.scale if scale is None else scale)

    def _block_grid(self, geometry: Geometry) -> BlockGrid:
        attention = self.config.attention
        return BlockGrid(
            rows=geometry.block_rows,
            columns=geometry.block_columns,
            topk=attention.topk(geometry.blocks, geometry.pixels),
            local_range=local_range(attention, self._network),
            block_kv=attention.block_kv,
        )

    def _attention(self, geometry: Geometry) -> SparseAttention:
        backend, head_dim = self.config.attention.backend, self._network.dit.sizes.head_dim
        return SparseAttention(self._block_grid(geometry), self.device, backend, self.dtype, head_dim)

    def _new_state(self, geometry: Geometry) -> StreamState:
        sizes = self._network.dit.sizes
        slices, tokens = self.config.attention.kv_slices, geometry.blocks * WINDOW_TOKENS
        windows = [
            KVWindow(slices, tokens, sizes.heads, sizes.head_dim, self.dtype, self.device) for _ in range(sizes.blocks)
        ]
        nothing = _no_frames(geometry)
        return StreamState(windows=windows, pending=nothing, last_frame=nothing)


def _no_frames(geometry: Geometry) -> Tensor:
    return torch.empty(0, geometry.height, geometry.width, 3, dtype=torch.uint8)
