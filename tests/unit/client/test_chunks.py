from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from flashvsr_client.chunks import chunked, sizes
from flashvsr_client.errors import InputError
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50))
def test_sizes_add_up_to_what_the_engine_wants_and_stay_below_the_limit(first: int, further: int, limit: int) -> None:
    counts = list(islice(sizes(first, further, limit), 200))
    assert all(1 <= count <= limit for count in counts)
    reached = set(np.cumsum(counts).tolist())
    wanted = {first + further * k for k in range(3)}
    assert wanted <= reached


def test_without_a_limit_requests_are_the_engines_chunks() -> None:
    assert list(islice(sizes(25, 8, 25), 4)) == [25, 8, 8, 8]


@given(st.integers(0, 60), st.lists(st.integers(1, 9), min_size=60, max_size=60))
def test_chunked_keeps_every_frame_in_order(frames: int, counts: list[int]) -> None:
    source = [np.full((2, 3, 3), index, np.uint8) for index in range(frames)]
    chunks = list(chunked(source, 3, 2, counts))
    assert [len(chunk) for chunk in chunks[:-1]] == counts[: max(0, len(chunks) - 1)]
    assert [int(frame[0, 0, 0]) for chunk in chunks for frame in chunk] == list(range(frames))


@pytest.mark.parametrize("wrong", [np.zeros((2, 4, 3), np.uint8), np.zeros((2, 3, 3), np.float32)])
def test_a_frame_of_another_kind_is_named_by_its_number(wrong: np.ndarray) -> None:
    good = np.zeros((2, 3, 3), np.uint8)
    with pytest.raises(InputError, match=r"frame 1 is .* takes uint8 \[2, 3, 3\]"):
        list(chunked([good, wrong], 3, 2, [2]))
