"""The layers of the TCDecoder, each over a whole frame or a band of its rows."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from einops import rearrange
from torch import Tensor, nn

from flashvsr_engine.bands import Band
from flashvsr_engine.kernels.conv import (
    Padding,
    adds_in_place,
    conv2d,
    conv_act,
    conv_add_act,
    conv_past_act,
    doubling_kernel,
    up_conv,
)
from flashvsr_engine.kernels.interleave import interleave
from flashvsr_engine.model.sweep import Sweep

_LEAST_STRIP = 4
"""Rows. The first strip of a frame must reach below the border of all layers that follow."""


class MemBlock(nn.Module):
    """act(conv(cat[x, past]) + x), past being the previous frame of x."""

    def __init__(self, channels: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        convs = {"0": 2 * channels, "2": channels, "4": channels}
        self.conv = nn.ModuleDict({key: nn.Conv2d(width, channels, 3, padding=1) for key, width in convs.items()})

    def _conv(self, key: str) -> nn.Conv2d:
        conv = self.conv[key]
        assert isinstance(conv, nn.Conv2d)
        return conv

    def prepare(self, pairs: bool) -> None:
        """Split the first convolution in one of the frame and one of its predecessor, so that nothing is joined.

        pairs: frames always come two by two. In float32 on a CPU the sum of the two convolutions is kept as well then.
        """
        both = self._conv("0")
        del self.conv["0"]
        own, past = (half.contiguous(memory_format=torch.channels_last) for half in both.weight.data.chunk(2, dim=1))
        self.conv["own"], self.conv["past"] = _conv_of(own, both.bias), _conv_of(past, None)
        if pairs and own.device.type == "cpu" and own.dtype is torch.float32:
            self.conv["both"] = _conv_of(own + past, None)

    def forward(self, x: Tensor, before: Tensor, sweep: Sweep) -> Tensor:
        """x: (batch * frames, channels, height, width), may be written over; before: the frame before these, (batch,
        ...).

        In bands, the output lags behind x by three rows.
        """
        if "own" in self.conv and adds_in_place(x):
            return self._frame_by_frame(x, before, sweep)
        return self._rest(self._first(x, before, sweep), x, sweep)

    def _frame_by_frame(self, x: Tensor, before: Tensor, sweep: Sweep) -> Tensor:
        """The same on a CPU, whose caches hold a frame and rarely a batch of them; whole frames are left in x."""
        made, count = [], len(x) // len(before)
        for row, past in enumerate(before.split(1)):
            frames = x[row * count : (row + 1) * count]
            for i, y in enumerate(self._firsts(frames, past, sweep.of(row))):
                made.append(self._rest(y, frames[i : i + 1], sweep.of((row, i))))
        return x if sweep.band.whole else torch.cat(made)

    def _firsts(self, x: Tensor, before: Tensor, sweep: Sweep) -> list[Tensor]:
        own, past = self._conv("own"), self._conv("past")
        both = self._conv("both").weight if "both" in self.conv else None
        before, _ = with_border(past, before, sweep)
        x, padding = with_border(own, x, sweep)
        return conv_past_act(x, before, (own.weight, past.weight, both), own.bias, padding, self.slope)

    def _rest(self, y: Tensor, x: Tensor, sweep: Sweep) -> Tensor:
        y = conv_act_by_rows(self.conv["2"], y, sweep, self.slope)
        last = self._conv("4")
        y, padding = with_border(last, y, sweep)
        if not sweep.band.whole:
            x = sweep.behind(self, x, y.shape[2] - 2).contiguous(memory_format=torch.channels_last)
        return conv_add_act(y, last.weight, last.bias, x, padding, self.slope)

    def _first(self, x: Tensor, before: Tensor, sweep: Sweep) -> Tensor:
        past = _past(x, before)
        if "0" in self.conv:
            return conv_act_by_rows(self.conv["0"], torch.cat((x, past), dim=1), sweep, self.slope)
        y = conv_by_rows(self.conv["past"], past, sweep)
        own = self._conv("own")
        x, padding = with_border(own, x, sweep)
        return conv_add_act(x, own.weight, own.bias, y, padding, self.slope)


class TGrow(nn.Module):
    """A 1x1 convolution to `growth` times the channels, which become `growth` frames."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.growth = growth
        self.conv = nn.Conv2d(channels, growth * channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(frames, channels, height, width) -> (growth * frames, channels, height, width)."""
        y = conv2d(x, self.conv.weight, None, (0, 0))
        if self.growth == 1:
            return y
        # Through channels-last, so that one copy leaves the frames in the layout that the convolutions want.
        return rearrange(y.permute(0, 2, 3, 1), "n h w (f c) -> (n f) h w c", f=self.growth).permute(0, 3, 1, 2)


class Widen(nn.Module):
    """A TGrow, nearest upsampling by 2 and a 3x3 convolution as one transposed convolution for each grown frame.

    slope: of a leaky ReLU that follows, None for none.
    """

    def __init__(self, grow: TGrow, conv: nn.Conv2d, slope: float | None = None) -> None:
        super().__init__()
        self.slope = slope
        weight, channels = conv.weight.data.float(), conv.in_channels
        mixes = grow.conv.weight.data.float().view(grow.growth, channels, channels)
        kernels = (doubling_kernel(torch.einsum("omyx,mi->oiyx", weight, mix)) for mix in mixes)
        self.kernels = nn.ParameterList(
            nn.Parameter(kernel.to(conv.weight.dtype, memory_format=torch.channels_last), requires_grad=False)
            for kernel in kernels
        )

    def forward(self, x: Tensor, sweep: Sweep) -> Tensor:
        """(frames, channels, height, width) -> (growth * frames, channels of the convolution, 2 height, 2 width).

        In bands, the output lags behind x by a row of x.
        """
        x, padding = with_border(self, x, sweep)
        return interleave([self.grown(x, frame, padding) for frame in range(len(self.kernels))], self.slope)

    def grown(self, x: Tensor, frame: int, padding: Padding) -> Tensor:
        """One of the frames that grow of each; x with its border, see `with_border`."""
        return up_conv(x, self.kernels[frame], (1, 1) if padding[0] else (3, 1))


def conv_by_rows(conv: nn.Module, x: Tensor, sweep: Sweep) -> Tensor:
    """A 3x3 convolution of a band: padded with zeros at the frame's border, with rows of its neighbours elsewhere."""
    assert isinstance(conv, nn.Conv2d)
    x, padding = with_border(conv, x, sweep)
    return conv2d(x, conv.weight, conv.bias, padding)


def conv_act_by_rows(conv: nn.Module, x: Tensor, sweep: Sweep, slope: float) -> Tensor:
    """`conv_by_rows` and a leaky ReLU."""
    assert isinstance(conv, nn.Conv2d)
    x, padding = with_border(conv, x, sweep)
    return conv_act(x, conv.weight, conv.bias, padding, slope)


def with_border(layer: nn.Module, x: Tensor, sweep: Sweep) -> tuple[Tensor, Padding]:
    """x with the rows around it that a 3x3 convolution reads, and the padding that is left for the convolution."""
    if sweep.band.whole:
        return x, (1, 1)

    def fill(new: Tensor, _: slice) -> None:
        new.copy_(x)

    return sweep.around(layer, x, x.shape, fill, torch.channels_last), (0, 1)


def strips(x: Tensor, sweep: Sweep, size: int) -> Iterator[tuple[Tensor, Sweep]]:
    """A band of one frame in strips of about `size` bytes, from top to bottom, each with its pass."""
    rows, band = x.shape[2], sweep.band
    step = max(_LEAST_STRIP, size * rows // x.nbytes)
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        first, last = band.first and start == 0, band.last and stop == rows
        yield x[:, :, start:stop], sweep.of("strip", Band(start, stop, first, last))


def _conv_of(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    out, channels = weight.shape[:2]
    conv = nn.Conv2d(channels, out, 3, padding=1, bias=bias is not None, device="meta")
    conv.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        conv.bias = nn.Parameter(bias.data, requires_grad=False)
    return conv


def _past(x: Tensor, before: Tensor) -> Tensor:
    """Beside each frame of x its predecessor, beside a row's first the one before it."""
    past = torch.cat((before[:1], x[:-1]))
    past[:: x.shape[0] // before.shape[0]] = before
    return past
