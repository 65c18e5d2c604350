from __future__ import annotations

import pytest
from flashvsr_engine import ConfigError
from flashvsr_engine.geometry import Geometry
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(16, 4096), st.integers(16, 4096), st.sampled_from([2, 3, 4]))
def test_padding_is_the_least_that_fits(width: int, height: int, scale: int) -> None:
    g = Geometry(width, height, scale)
    assert (g.out_width, g.out_height) == (scale * width, scale * height)
    assert g.padded_width % 128 == g.padded_height % 128 == 0
    assert 0 <= g.padded_width - g.out_width < 128
    assert 0 <= g.padded_height - g.out_height < 128
    assert g.blocks * 64 == g.token_rows * g.token_columns
    assert g.latent_rows * g.latent_columns == 4 * g.token_rows * g.token_columns


@pytest.mark.parametrize(
    ("width", "height", "scale", "words"),
    [
        (15, 64, 4, "width is 15; allowed at scale 4: 16 to 4096"),
        (64, 9000, 2, "height is 9000"),
        (64, 64, 5, "scale is 5; allowed: 2, 3, 4"),
    ],
)
def test_wrong_sizes(width: int, height: int, scale: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Geometry(width, height, scale)
