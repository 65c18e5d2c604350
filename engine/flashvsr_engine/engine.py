"""The engine: weights on a device, from which sessions are opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from flashvsr_engine import checkpoint, schedule
from flashvsr_engine.checkpoint import Snapshot
from flashvsr_engine.config import EngineConfig, require, require_seed
from flashvsr_engine.devices import current, decoder_dtype, resolve_device, resolve_dtype
from flashvsr_engine.frames import OUTPUTS, Frames, Output
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.graphs import GraphPool
from flashvsr_engine.group import Group
from flashvsr_engine.kernels import Availability, availability
from flashvsr_engine.live import META
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
        pool = GraphPool(device) if device.type == "cuda" and config.cuda_graphs else None
        residency = Offloaded(network.dit, device)
        self._streams = Streams(config, network, conditioning, residency, device, dtype, CPU, pool)
        self._planner = Planner(self._streams)
        self._group = Group(pool)

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
            part.to(device=place, dtype=decoder_dtype(dtype, device) if part is network.tcdecoder else dtype)
        network.projector.prepare()
        if network.tcdecoder is not None:
            network.tcdecoder.to(memory_format=torch.channels_last).prepare()
        if network.vae is not None and device.type == "cuda" and dtype is not torch.float32:
            network.vae.prepare()
        with current(device):
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
        first_frame: int = 0,
    ) -> Session:
        """Open a stream of width x height frames, each from 16 up; ConfigError for anything not allowed.

        scale and seed default to the configuration's; noise, when given, is used in place of the seed's. Output is
        "uint8", "uint16" of full scale, or "float": float32 in [-1, 1] before rounding. first_frame is the place of the
        stream's first frame in its film, a multiple of 8: the seed's noise is keyed by it, so streams of one film agree
        where they overlap.
        """
        geometry = self._geometry(width, height, scale)
        require("output", output, tuple(OUTPUTS))
        seed = self.config.seed if seed is None else seed
        require_seed(seed)
        own = CounterNoise(seed, schedule.first_latent(first_frame))
        plan = self._planner.plan(geometry)
        stream = self._streams.stream(geometry, plan.steps, noise or own, output)
        feed = self._streams.feed(stream, self._streams.state(stream), plan)
        return Session(feed, self._network.signature)

    def warmup(self, plan: Plan) -> None:
        """Run a stream of such a plan for a few chunks, so that no later one waits for kernels to be compiled."""
        blank = np.random.default_rng(0).integers(
            0, 256, (plan.first_chunk + 2 * plan.chunk, plan.height, plan.width, 3), dtype=np.uint8
        )
        with self.open(plan.width, plan.height, plan.scale) as session:
            session.push(blank)

    def step_many(self, sessions: Sequence[Session], frames: Sequence[Frames]) -> list[Frames]:
        """`push` frames[i] to sessions[i], all of this engine, with chunks of equal shapes run as one batch.

        A batch uses the device better where pictures are small. Frames are those of `push` up to the rounding of
        the engine's precision, as products of other sizes may be summed in another order. FrameError for frames of
        a wrong type or size, SessionStateError for a session that is not open or comes twice; then nothing has run,
        though sessions before it in the list have taken their frames.
        """
        return self._group.push(sessions, frames)

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
