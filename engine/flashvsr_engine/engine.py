"""The engine: weights on a device, from which sessions are opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from flashvsr_engine import checkpoint
from flashvsr_engine.checkpoint import Snapshot
from flashvsr_engine.config import EngineConfig, require, require_seed
from flashvsr_engine.devices import resolve_device, resolve_dtype
from flashvsr_engine.footprint import META
from flashvsr_engine.frames import Output
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.kernels import Availability, availability
from flashvsr_engine.noise import CounterNoise, NoiseSource
from flashvsr_engine.plan import Plan
from flashvsr_engine.planner import Planner
from flashvsr_engine.residency import Offloaded
from flashvsr_engine.session import Session
from flashvsr_engine.streams import Streams
from flashvsr_engine.weights import Network, load_network

CPU = torch.device("cpu")


class FlashVSREngine:
    """One model on one device. It holds no stream's state: any number of sessions share it, one call at a time."""

    def __init__(self, config: EngineConfig, network: Network, device: torch.device, dtype: torch.dtype) -> None:
        self.config = config
        self.device = device
        self.dtype = dtype
        with torch.inference_mode():
            conditioning = network.dit.condition(network.prompt)
        self._network = network
        self._streams = Streams(config, network, conditioning, Offloaded(network.dit, device), device, dtype, CPU)
        self._planner = Planner(self._streams)

    @classmethod
    def load(cls, config: EngineConfig) -> FlashVSREngine:
        """Load the weights that a configuration names onto its device.

        WeightsError unless every tensor of the files is used and every parameter filled; DeviceError when the
        device is absent.
        """
        resolve_device(config.device)  # an absent device is told before gigabytes are read
        return cls.of(config, load_network(config.weights, config.version, full=config.mode == "full"))

    @classmethod
    def of(cls, config: EngineConfig, network: Network) -> FlashVSREngine:
        """An engine of modules that are there already; they are moved, cast and rewritten for inference in place.

        Of modules on the meta device, which have no values, it is an engine that can only plan.
        """
        device = resolve_device(config.device)
        dtype = resolve_dtype(config.precision, device)
        place = META if network.prompt.is_meta else device
        for part in network.parts():
            part.to(device=place, dtype=dtype)
        network.projector.prepare()
        if network.tcdecoder is not None:
            network.tcdecoder.to(memory_format=torch.channels_last).prepare()
        return cls(config, replace(network, prompt=network.prompt.to(place)), device, dtype)

    @property
    def name(self) -> str:
        """Name and version of the weights, such as "builtin 1.1"."""
        return f"{self._network.manifest.name} {self._network.version}"

    def attention_backends(self) -> dict[str, list[Availability]]:
        """Implementations of the attentions "sparse" and "dense": which there are here, and why not the others."""
        return availability(self.device, self.dtype, self._network.dit.sizes.head_dim)

    def plan(self, width: int, height: int, scale: int | None = None) -> Plan:
        """Sizes, memory and schedule of a stream; nothing is allocated.

        ConfigError for sizes that are not allowed, or when the stream does not fit `config.memory_limit`.
        """
        return self._planner.plan(self._geometry(width, height, scale))

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
        steps = self._planner.plan(geometry).steps
        stream = self._streams.stream(geometry, steps, noise or CounterNoise(seed), output)
        return Session(stream, self._streams.state(stream), self._network.signature)

    def restore(self, path: str | Path) -> Session:
        """Go on with a stream that `Session.save` wrote; its frames are those that it would have made itself.

        ConfigError, which names the difference, when it was saved with other weights, options or precision.
        """
        return checkpoint.restore(Path(path), self._streams, self._planner, self._network.signature)

    def resume(self, snapshot: Snapshot) -> Session:
        """Go on, once, with a stream from what `Session.snapshot` gave; its frames are those it would have made itself.

        ConfigError as of :meth:`restore`.
        """
        return checkpoint.resume(snapshot, self._streams, self._planner, self._network.signature)

    def _geometry(self, width: int, height: int, scale: int | None) -> Geometry:
        return Geometry(width, height, self.config.scale if scale is None else scale)
