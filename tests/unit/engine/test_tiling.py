from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from flashvsr_engine import ConfigError, EngineConfig
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.tiling import TileGrid, axis_weights, origins
from hypothesis import given
from hypothesis import strategies as st

GEOMETRIES = st.builds(Geometry, st.integers(16, 700), st.integers(16, 700), st.sampled_from((2, 3, 4)))


@st.composite
def grids(draw: st.DrawFn) -> tuple[TileGrid, int, int]:
    geometry, size = draw(GEOMETRIES), draw(st.integers(32, 1024))
    overlap = draw(st.integers(8, min(512, size // 2)))
    return TileGrid.cut(geometry, size, overlap), size * geometry.scale, overlap * geometry.scale


@given(grids())
def test_tiles_cover_the_frame_and_overlap_enough(case: tuple[TileGrid, int, int]) -> None:
    grid, size, overlap = case
    for length, tile, starts in (
        (grid.height, grid.tile_height, grid.rows),
        (grid.width, grid.tile_width, grid.columns),
    ):
        assert tile % 128 == 0
        assert tile == length or tile >= size
        assert starts[0] == 0
        assert starts[-1] + tile == length
        assert all(start % 16 == 0 for start in starts)
        assert all(after - before <= tile - overlap for before, after in pairwise(starts))


@given(grids())
def test_weights_sum_to_one_at_every_cell(case: tuple[TileGrid, int, int]) -> None:
    grid, _, _ = case
    total = torch.zeros(grid.height // 8, grid.width // 8)
    height, width = grid.tile_height // 8, grid.tile_width // 8
    for (row, column), weight in zip(grid.origins, grid.weights, strict=True):
        assert weight.shape == (height, width)
        assert weight.min() > 0
        total[row // 8 : row // 8 + height, column // 8 : column // 8 + width] += weight
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)


@given(grids())
def test_the_feather_does_not_touch_the_outer_border(case: tuple[TileGrid, int, int]) -> None:
    """What lies at the frame's border, and in one tile only, counts fully."""
    grid, _, _ = case
    for length, tile, starts in (
        (grid.height, grid.tile_height, grid.rows),
        (grid.width, grid.tile_width, grid.columns),
    ):
        weights = axis_weights(starts, tile, length)
        alone = (starts[1] if len(starts) > 1 else length) // 8
        assert torch.equal(weights[0][:alone], torch.ones(alone, dtype=torch.float64))
        assert weights[-1][-1] == 1


def test_one_tile_is_the_frame() -> None:
    geometry = Geometry(160, 90, 4)
    whole = TileGrid.whole(geometry)
    assert TileGrid.cut(geometry, 256, 24) == whole
    assert (len(whole), whole.tile_pixels) == (1, geometry.pixels)
    assert torch.equal(whole.weights, torch.ones(1, 48, 80))


def test_origins_are_even() -> None:
    assert origins(1024, 256, 64) == (0, 192, 384, 576, 768)
    assert origins(1024, 1024, 64) == (0,)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tile_size": 16}, "tile_size is 16; allowed: 32 to 1024"),
        ({"tile_size": 2048}, "tile_size is 2048"),
        ({"tile_overlap": 4}, "tile_overlap is 4; allowed: 8 to 512"),
        (
            {"tile_size": 64, "tile_overlap": 40},
            "tile_overlap is 40; allowed with tile_size 64: at most half of it, 32",
        ),
    ],
)
def test_tiles_that_cannot_be_laid(options: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        EngineConfig(tiled_dit=True, **options)  # type: ignore[arg-type]
