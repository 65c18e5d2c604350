from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from flashvsr_client.merge import DecodeTimes, blend, reorder_delay
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 12), st.integers(0, 2**32), st.sampled_from([np.uint8, np.uint16]))
def test_a_fade_lies_between_its_ends_and_moves_one_way(count: int, seed: int, dtype: type[np.uint8]) -> None:
    random = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    one, other = random.integers(0, top, (2, 3, 4, 3), dtype, endpoint=True)
    faded = blend(np.stack([one] * count), np.stack([other] * count))
    assert faded.dtype == dtype
    weights = np.arange(1, count + 1).reshape(-1, 1, 1, 1) / (count + 1)
    assert np.abs(faded - (one * (1 - weights) + other * weights)).max() <= 0.5 + 1e-6
    steps = np.diff(np.stack([one, *faded, other]).astype(np.int64), axis=0)
    assert ((steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)).all()
    assert np.array_equal(blend(np.stack([one] * count), np.stack([one] * count)), np.stack([one] * count))


@st.composite
def coded(draw: st.DrawFn) -> list[int]:
    """Times in an order of decoding as encoders make it: groups of which the last is decoded first."""
    steps = draw(st.lists(st.integers(1, 5000), min_size=1, max_size=40))
    times = list(np.cumsum(steps))
    order: list[int] = []
    while times:
        group = draw(st.integers(1, 5))
        taken, times = times[:group], times[group:]
        order += [taken[-1], *draw(st.permutations(taken[:-1]))]
    return [int(time) for time in order]


@given(st.lists(coded(), min_size=1, max_size=4))
def test_decoding_never_goes_back_and_is_never_late(parts: list[list[int]]) -> None:
    """Over parts that follow one another, each of its own order."""
    delay = max(reorder_delay(part) for part in parts)
    clock = DecodeTimes(min(parts[0]), 1, delay)
    order: list[int] = []
    times: list[int] = []
    for part in parts:
        base = max(order, default=0)
        order += [base + time for time in part]
        times += clock.of([base + time for time in part])
    assert len(times) == len(order)
    assert all(earlier < later for earlier, later in pairwise(times))
    assert all(decoded <= shown for decoded, shown in zip(times, order, strict=True))


@pytest.mark.parametrize(("order", "delay"), [([], 0), ([0, 1, 2], 0), ([0, 2, 1], 1), ([0, 4, 2, 1, 3], 2)])
def test_the_delay_is_the_smallest(order: list[int], delay: int) -> None:
    assert reorder_delay(order) == delay
