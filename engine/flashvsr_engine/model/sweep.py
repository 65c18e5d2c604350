"""Convolutions over a frame that comes in bands of rows, from top to bottom, exactly as over the whole frame."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

from flashvsr_engine.bands import Band

_KEPT_ROWS = 2  # of the input of a convolution of three rows: those that the next rows need again


class Sweep:
    """What the bands of one pass over a frame leave for one another: a few rows per layer.

    Set `band` before each band's pass through the layers; all bands in order, all layers in each. Rows are axis 2 of
    every tensor. A layer is known by its module, which must run once in a pass, or once for each of `of`'s frames.
    """

    def __init__(self, band: Band) -> None:
        self.band = band
        self._frame: Hashable = None
        self._taken: dict[Hashable, int] = {}
        self._kept: dict[Hashable, Tensor] = {}

    def of(self, frame: Hashable, band: Band | None = None) -> Sweep:
        """The pass over one frame of several, which layers take one by one; it leaves its rows here.

        band: a part of this pass's band, from top to bottom, where the frame is taken in smaller ones.
        """
        part = copy.copy(self)
        part._frame, part.band = (self._frame, frame), band or self.band
        return part

    def take(self, layer: Hashable, rows: int) -> slice:
        """Count rows that go into a layer; returns which rows of the frame they are."""
        key = (self._frame, layer)
        start = self._taken.get(key, 0)
        self._taken[key] = start + rows
        return slice(start, start + rows)

    def around(
        self,
        layer: Hashable,
        like: Tensor,
        shape: Sequence[int],
        fill: Callable[[Tensor, slice], None],
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> Tensor:
        """The input of a convolution of three rows that pads no rows: the band's rows and what must be around them.

        shape: of the band's new rows; `fill` is given the place for them and which rows of the frame they are. Above
        them are put the rows kept from the band before, above the first band and below the last one row of zeros.
        """
        band, rows, key = self.band, shape[2], (self._frame, layer)
        above, below = 1 if band.first else _KEPT_ROWS, int(band.last)
        size = (*shape[:2], above + rows + below, *shape[3:])
        full = torch.empty(size, dtype=like.dtype, device=like.device, memory_format=memory_format)
        fill(full.narrow(2, above, rows), self.take(layer, rows))
        if band.first:
            full.narrow(2, 0, above).zero_()
        else:
            full.narrow(2, 0, above).copy_(self._kept.pop(key))
        if band.last:
            full.narrow(2, above + rows, below).zero_()
        else:
            self._kept[key] = full.narrow(2, above + rows - _KEPT_ROWS, _KEPT_ROWS).clone()
        return full

    def add_behind(self, layer: Hashable, y: Tensor, x: Tensor) -> Tensor:
        """y + x, in place of y, where y lags behind x by the layer's convolutions: x waits for it in part."""
        return y.add_(x if self.band.whole else self.behind(layer, x, y.shape[2]))

    def behind(self, layer: Hashable, x: Tensor, rows: int) -> Tensor:
        """The first `rows` rows of x and what still waits of it, maybe in x's memory; the rest waits."""
        key = (self._frame, layer)
        joined = x if self.band.first else torch.cat((self._kept.pop(key), x), dim=2)
        if not self.band.last:
            self._kept[key] = joined[:, :, rows:].clone()
        return joined[:, :, :rows]
