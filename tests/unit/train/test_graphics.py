from __future__ import annotations

import numpy as np

from train.graphics import SIDE, draw_graphics


def test_graphics_are_pictures_of_many_kinds_and_repeatable() -> None:
    drawn, again, other = draw_graphics(14, 1), draw_graphics(14, 1), draw_graphics(14, 2)
    assert all(picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8 for picture in drawn)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(drawn, other, strict=True))
    assert all(len(np.unique(picture.reshape(-1, 3), axis=0)) > 1 for picture in drawn)
