from __future__ import annotations

import functools
import itertools

import torch
import torch.nn.functional as F
from flashvsr_engine.bands import cut, reach
from flashvsr_engine.model import tcdecoder, vae
from flashvsr_engine.model.conv import conv2d
from flashvsr_engine.model.sweep import Sweep
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn


def _copy(x: torch.Tensor, new: torch.Tensor, _: slice) -> None:
    new.copy_(x)


COUNTS = st.lists(st.integers(0, 5), min_size=1, max_size=4)


@given(st.integers(1, 500), st.integers(1, 40), st.integers(0, 30))
def test_bands_partition_the_rows(rows: int, parts: int, ahead: int) -> None:
    bands = cut(rows, parts, ahead)
    assert [row for band in bands for row in range(band.start, band.stop)] == list(range(rows))
    assert [band.first for band in bands] == [True] + [False] * (len(bands) - 1)
    assert [band.last for band in bands] == [False] * (len(bands) - 1) + [True]
    assert all(band.stop > band.start for band in bands)
    assert len(bands) <= parts
    assert bands[0].whole == (len(bands) == 1)
    made = [0, *(band.stop - ahead for band in bands[:-1]), rows]
    most = max(-(-rows // parts), ahead + 1)
    assert all(0 < end - start <= most for start, end in itertools.pairwise(made))


def test_reach_by_hand() -> None:
    assert reach((1,)) == 1
    assert reach((0, 1)) == 1  # half a row
    assert reach((2, 2)) == 3
    assert (vae.REACH, tcdecoder.REACH) == (13, 19)  # 12 1/4, 18 3/4


@given(COUNTS, st.integers(1, 24), st.integers(1, 6))
@settings(deadline=None, max_examples=60)
def test_a_stack_in_bands_is_the_stack(counts: list[int], rows: int, parts: int) -> None:
    """Ones as kernels, integers as values: every sum is exact, so a row that is missing or doubled shows."""
    layers = [[nn.Identity() for _ in range(count)] for count in counts]
    kernel = torch.ones(1, 1, 3, 1)
    x = torch.randint(0, 3, (1, 1, rows, 2)).float()
    whole = x
    for size, stack in enumerate(layers):
        whole = whole.repeat_interleave(2, 2) if size else whole
        for _ in stack:
            whole = F.conv2d(whole, kernel, padding=(1, 0)).remainder(7)
    bands = cut(rows, parts, reach(counts))
    sweep, made = Sweep(bands[0]), []
    for sweep.band in bands:
        y = x[:, :, sweep.band.start : sweep.band.stop]
        for size, stack in enumerate(layers):
            y = y.repeat_interleave(2, 2) if size else y
            for layer in stack:
                full = sweep.around(layer, y, y.shape, functools.partial(_copy, y))
                y = conv2d(full, kernel, None, (0, 0)).remainder(7)
        made.append(y)
    assert torch.equal(torch.cat(made, dim=2), whole)
    assert all(part.shape[2] for part in made)


@given(st.integers(3, 30), st.integers(1, 8), st.integers(0, 4))
def test_what_waits_is_added_where_it_belongs(rows: int, parts: int, lag: int) -> None:
    layer = nn.Identity()
    x = torch.arange(float(rows)).view(1, 1, rows, 1)
    bands = cut(rows, parts, lag)
    sweep, made, done = Sweep(bands[0]), [], 0
    for sweep.band in bands:
        end = rows if sweep.band.last else sweep.band.stop - lag
        made.append(sweep.add_behind(layer, -x[:, :, done:end], x[:, :, sweep.band.start : sweep.band.stop]))
        done = end
    assert torch.equal(torch.cat(made, dim=2), torch.zeros_like(x))
