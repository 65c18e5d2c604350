"""Finds out, for an engine, what a stream takes and how it fits; remembers what it found."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from flashvsr_engine.footprint import CPU_OVERHEAD, Footprint, LiveBytes, measure
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.memory import free_bytes, parse_bytes
from flashvsr_engine.noise import CHANNELS
from flashvsr_engine.plan import Choice, Plan, choose, largest_batch, make_plan, rungs_for
from flashvsr_engine.schedule import CHUNK_LATENTS
from flashvsr_engine.steps import Steps
from flashvsr_engine.streams import Streams, tile_grid, weight_bytes


class Planner:
    """Plans the streams of one engine."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._measured: dict[tuple[Geometry, Steps], Footprint] = {}
        """A stream's footprint follows from its geometry and steps, so each is found out once."""

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
        if (geometry, steps) not in self._measured:
            live = LiveBytes()
            streams = self._streams.on_meta(live)
            stream = streams.stream(geometry, steps, _Blank(), "uint8")
            resident = self._weights() - weight_bytes(self._streams.network.dit)
            found = measure(stream, streams.state(stream), live, resident, self._streams.device)
            self._measured[geometry, steps] = self._as_process(found)
        return self._measured[geometry, steps]

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
