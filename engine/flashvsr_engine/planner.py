"""Finds out, for an engine, what a stream takes and how it fits; remembers what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

import torch
from torch import Tensor

from flashvsr_engine.footprint import CPU_OVERHEAD, Footprint, Weights, footprint
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.kernels.target import planning_for
from flashvsr_engine.live import LiveBytes
from flashvsr_engine.memory import free_bytes, parse_bytes
from flashvsr_engine.noise import CHANNELS
from flashvsr_engine.outlines import Outlines
from flashvsr_engine.phases import FirstHalf, SecondHalf, first_half, second_half
from flashvsr_engine.plan import Choice, Plan, choose, largest_batch, make_plan, rungs_for
from flashvsr_engine.schedule import CHUNK_LATENTS
from flashvsr_engine.state import StreamState
from flashvsr_engine.steps import Steps
from flashvsr_engine.stream import Stream
from flashvsr_engine.streams import Streams, tile_grid, weight_bytes

H = TypeVar("H")

MOST_KEPT: Final = 512
"""Halves that are remembered: a plan under a tight limit looks at some twenty. Callers choose the sizes, of which there
are millions."""


class Planner:
    """Plans the streams of one engine."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._meta: Streams | None = None
        self._outlines = Outlines()
        self._first: dict[tuple[Geometry, Steps], FirstHalf] = {}
        self._second: dict[tuple[Geometry, Steps], SecondHalf] = {}

    def plan(self, geometry: Geometry, like: Steps | None = None) -> Plan:
        """The plan of a stream. With `like`, one whose state has the layout of a stream with those steps.

        ConfigError when it does not fit the limit.
        """
        streams = self._streams
        base = self._wanted(geometry)
        rungs = rungs_for(streams.device.type)
        if like is not None:
            base = replace(base, kv_bits=like.kv_bits, tile_size=like.tile_size, tile_overlap=like.tile_overlap)
            rungs = tuple(rung for rung in rungs if rung.exact)
        limit = self._limit()
        subject = f"{geometry.width}x{geometry.height} at scale {geometry.scale}"
        choice = choose(base, limit, lambda steps: self._footprint(geometry, steps), rungs, subject)
        tiles = len(tile_grid(geometry, choice.steps))
        if tiles > 1 and streams.config.adaptive_batch_size:
            choice = self._batched(geometry, choice, tiles, limit)
        records = streams.pool is not None
        return make_plan(geometry, choice, streams.local_range, tiles, self._weights(), limit, records)

    def _limit(self) -> int | None:
        """Bytes that weights and stream may take; "auto" is what is free, and what the weights take already."""
        limit = self._streams.config.memory_limit
        if limit is None:
            return None
        if limit == "auto":
            return free_bytes(self._streams.device) + self._weights()
        return parse_bytes(limit)

    def _wanted(self, geometry: Geometry) -> Steps:
        """The steps that the configuration asks for whatever the limit."""
        config = self._streams.config
        band = config.tile_size * geometry.scale
        return Steps(
            # A CPU is no faster with more; and so tiny and tiny-long are one there, to the bit.
            decode_latents=CHUNK_LATENTS if config.mode == "tiny" and self._streams.device.type == "cuda" else 1,
            decoder_bands=-(-geometry.padded_height // band) if config.tiled_vae else 1,
            unload_dit=config.unload_dit,
            tile_size=config.tile_size if config.tiled_dit else None,
            tile_overlap=config.tile_overlap,
        )

    def _batched(self, geometry: Geometry, choice: Choice, tiles: int, limit: int | None) -> Choice:
        room = free_bytes(self._streams.device) + self._weights() if limit is None else limit
        steps = largest_batch(choice.steps, tiles, lambda s: self._footprint(geometry, s).peak <= room)
        return replace(choice, steps=steps, footprint=self._footprint(geometry, steps))

    def _footprint(self, geometry: Geometry, steps: Steps) -> Footprint:
        dit = weight_bytes(self._streams.network.dit)
        weights = Weights(dit, self._weights() - dit)
        first, second = self._halves(geometry, steps)
        return self._as_process(footprint(geometry, weights, steps.unload_dit, first, second, self._streams.device))

    def _halves(self, geometry: Geometry, steps: Steps) -> tuple[FirstHalf, SecondHalf]:
        """Each follows from the geometry and its own steps, so it is found out once."""
        first, second = (geometry, steps.first_half), (geometry, steps.second_half)
        if len(self._first) + len(self._second) >= MOST_KEPT:
            self._first, self._second, self._outlines = {}, {}, Outlines()
        if first not in self._first:
            self._first[first] = self._measured(first_half, *first)
        if second not in self._second:
            self._second[second] = self._measured(second_half, *second)
        return self._first[first], self._second[second]

    def _measured(self, measure: Callable[[Stream, StreamState, LiveBytes], H], geometry: Geometry, steps: Steps) -> H:
        if self._meta is None:
            self._meta = self._streams.on_meta()
        stream = self._meta.stream(geometry, steps, _Blank(), "uint8")
        with planning_for(self._streams.device):
            return measure(stream, self._meta.state(stream), LiveBytes(self._outlines))

    def _as_process(self, found: Footprint) -> Footprint:
        """On a CPU it is the process that has to fit, not its tensors alone."""
        if self._streams.device.type != "cpu":
            return found
        return replace(found, peak=self._weights() + int(CPU_OVERHEAD * (found.peak - self._weights())))

    def _weights(self) -> int:
        network, conditioning = self._streams.network, self._streams.conditioning
        constant = [*conditioning.tensors(), network.prompt]
        return sum(weight_bytes(part) for part in network.parts()) + sum(t.nbytes for t in constant)


class _Blank:
    """Noise without values."""

    def latents(self, first: int, count: int, rows: int, columns: int, device: torch.device) -> Tensor:
        """See `NoiseSource`."""
        return torch.empty(1, CHANNELS, count, rows, columns, device=device)
