"""Convolutions over a frame that comes in bands of rows, from top to bottom, exactly as over the whole frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from flashvsr_engine.bands import Band

_KEPT_ROWS = 2  # of the input of a convolution of three rows: those that the next rows need again


class Sweep:
    """What the bands of one pass over a frame leave for one another: a few rows per layer.

    Set `band` before each band's pass through the layers; all bands in order, all layers in each. Rows are axis 2 of
    every tensor. A layer is known by its module, which must run once in a pass.
    """

    def __init__(self, band: Band) -> None:
        self.band = band
        self._taken: dict[nn.Module, int] = {}
        self._kept: dict[nn.Module, Tensor] = {}

    def take(self, layer: nn.Module, rows: int) -> slice:
        """Count rows that go into a layer; returns which rows of the frame they are."""
        start = self._taken.get(layer, 0)
        self._taken[layer] = start + rows
        return slice(start, start + rows)

    def around(
        self,
        layer: nn.Module,
        like: Tensor,
        shape: Sequence[int],
        fill: Callable[[Tensor, slice], None],
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> Tensor:
        """The input of a convolution of three rows that pads no rows: the band's rows and what must be around them.

        shape: of the band's new rows; `fill` is given the place for them and which rows of the frame they are. Above
        them are put the rows kept from the band before, above the first band and below the last one row of zeros.
        """
        band, rows = self.band, shape[2]
        above, below = 1 if band.first else _KEPT_ROWS, int(band.last)
        size = (*shape[:2], above + rows + below, *shape[3:])
        full = torch.empty(size, dtype=like.dtype, device=like.device, memory_format=memory_format)
        fill(full.narrow(2, above, rows), self.take(layer, rows))
        if band.first:
            full.narrow(2, 0, above).zero_()
        else:
            full.narrow(2, 0, above).copy_(self._kept.pop(layer))
        if band.last:
            full.narrow(2, above + rows, below).zero_()
        else:
            self._kept[layer] = full.narrow(2, above + rows - _KEPT_ROWS, _KEPT_ROWS).clone()
        return full

    def add_behind(self, layer: nn.Module, y: Tensor, x: Tensor) -> Tensor:
        """y + x, in place of y, where y lags behind x by the layer's convolutions: x waits for it in part."""
        if self.band.whole:
            return y.add_(x)
        kept = x.narrow(2, 0, 0) if self.band.first else self._kept.pop(layer)
        rows = y.shape[2]
        old = min(kept.shape[2], rows)
        y.narrow(2, 0, old).add_(kept.narrow(2, 0, old))
        y.narrow(2, old, rows - old).add_(x.narrow(2, 0, rows - old))
        if not self.band.last:
            self._kept[layer] = torch.cat((kept[:, :, old:], x[:, :, rows - old :]), dim=2)
        return y
