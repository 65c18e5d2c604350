"""Spatial tiles of a frame: where they lie, and how they are blended. Integers, and weights that sum to 1.

The DiT may run tile by tile. Tiles of one grid are equally large, so that they can be one batch; they overlap, and the
latents of the overlap are blended, so that the decoder sees one continuous picture. Positions are in pixels of the
padded output frame: tiles are whole attention blocks (128 pixels) large and start at whole tokens (16 pixels).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from flashvsr_engine.config import require_tiles
from flashvsr_engine.geometry import LATENT_PIXELS, MULTIPLE, TOKEN_PIXELS, Geometry


@dataclass(frozen=True)
class TileGrid:
    """Tiles of tile_height x tile_width at every row and column of `rows` and `columns`, which are their origins."""

    height: int
    width: int
    tile_height: int
    tile_width: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @classmethod
    def whole(cls, geometry: Geometry) -> TileGrid:
        """One tile: the frame."""
        height, width = geometry.padded_height, geometry.padded_width
        return cls(height, width, height, width, (0,), (0,))

    @classmethod
    def cut(cls, geometry: Geometry, size: int, overlap: int) -> TileGrid:
        """Tiles of at least `size` input pixels that overlap by at least `overlap`; see `config.require_tiles`."""
        require_tiles(size, overlap)
        tile = _round_up(size * geometry.scale, MULTIPLE)
        shared = _round_up(overlap * geometry.scale, TOKEN_PIXELS)
        height, width = geometry.padded_height, geometry.padded_width
        tile_height, tile_width = min(tile, height), min(tile, width)
        return cls(
            height,
            width,
            tile_height,
            tile_width,
            origins(height, tile_height, shared),
            origins(width, tile_width, shared),
        )

    @property
    def origins(self) -> list[tuple[int, int]]:
        """(row, column) of each tile's first pixel, row by row."""
        return [(row, column) for row in self.rows for column in self.columns]

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    @property
    def tile_pixels(self) -> int:
        """Pixels of one tile."""
        return self.tile_height * self.tile_width

    @cached_property
    def weights(self) -> Tensor:
        """How much each tile counts at each of its latent cells: float32 (tiles, rows, columns) of latents."""
        rows = axis_weights(self.rows, self.tile_height, self.height)
        columns = axis_weights(self.columns, self.tile_width, self.width)
        return torch.stack([torch.outer(row, column) for row in rows for column in columns]).float()


def origins(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Where equal tiles start that cover `length` pixels with as few as possible, evenly, at whole tokens."""
    if tile >= length:
        return (0,)
    last = length - tile
    steps = -(-last // (tile - overlap))
    return (*(last * i // steps // TOKEN_PIXELS * TOKEN_PIXELS for i in range(steps)), last)


def axis_weights(starts: tuple[int, ...], tile: int, length: int) -> list[Tensor]:
    """Weights of each tile along one axis, float64 (latent cells of a tile); at every cell of the axis they sum to 1.

    A tile counts fully where it lies alone, and at the frame's border; over what it shares with its neighbour it
    fades out linearly while the neighbour fades in.
    """
    cells = tile // LATENT_PIXELS
    ramps = []
    for i, start in enumerate(starts):
        ramp = torch.ones(cells, dtype=torch.float64)
        place = torch.arange(cells, dtype=torch.float64) + 0.5
        if i > 0:
            ramp = torch.minimum(ramp, place / ((starts[i - 1] + tile - start) // LATENT_PIXELS))
        if i + 1 < len(starts):
            ramp = torch.minimum(ramp, (cells - place) / ((start + tile - starts[i + 1]) // LATENT_PIXELS))
        ramps.append(ramp)
    total = torch.zeros(length // LATENT_PIXELS, dtype=torch.float64)
    spans = [slice(start // LATENT_PIXELS, start // LATENT_PIXELS + cells) for start in starts]
    for span, ramp in zip(spans, ramps, strict=True):
        total[span] += ramp
    return [ramp / total[span] for span, ramp in zip(spans, ramps, strict=True)]


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
