"""Layers of the Wan 2.1 VAE. Every tensor of them is (batch, frames, rows, columns, channels), and contiguous.

That is what torch calls channels_last_3d, and frame by frame channels_last: convolutions take it as it lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashvsr_engine.kernels.causal import CONTEXT_FRAMES, EPS, add_biased, fill_causal
from flashvsr_engine.kernels.conv import doubling_kernel, up_conv
from flashvsr_engine.model.conv import by_frame, over_time, pointwise
from flashvsr_engine.model.sweep import Sweep

_WIDE = 128


@dataclass(frozen=True, slots=True)
class Pass:
    """One latent on its way through the layers.

    memory: per causal convolution the last two frames of its input, (batch, 2, rows, columns, channels) of whole
    frames, which are written over. starts: this is the stream's first latent.
    """

    memory: dict[nn.Module, Tensor]
    sweep: Sweep
    starts: bool


class Norm(nn.Module):
    """x / ||x||_2 * sqrt(C) * gamma over the channels, which is x / rms(x) * gamma. gamma: (C, 1, 1[, 1])."""

    def __init__(self, channels: int, axes: int = 3) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *[1] * axes))

    def forward(self, x: Tensor) -> Tensor:
        """Computed in float32; returns the input's type."""
        return F.rms_norm(x, x.shape[-1:], self.gamma.flatten(), EPS)


class CausalConv(nn.Conv3d):
    """A convolution over the frames that it is given and the two before them; zeros around the picture.

    rows: how many it spans, 3 or 1, and as many columns. scale: rows of its input per row of a latent.
    """

    def __init__(self, channels: int, out: int, rows: int, scale: int) -> None:
        super().__init__(channels, out, (CONTEXT_FRAMES + 1, rows, rows))
        self.rows = rows
        self.scale = scale

    def prepare(self) -> None:
        """Round 96 output channels up to 128, for which cuDNN has a kernel that is a third faster in all."""
        if self.out_channels % _WIDE == _WIDE * 3 // 4:
            self.weight.data = F.pad(self.weight.data, (0,) * 9 + (_WIDE // 4,))

    def forward(self, x: Tensor, run: Pass, norm: Norm | None = None) -> Tensor:  # type: ignore[override]
        """x -> as many frames; through silu(norm(x)) first, where a norm is given."""
        return self.unbiased(x, run, norm).add_(self.added)

    @property
    def added(self) -> Tensor:
        """The bias."""
        assert self.bias is not None
        return self.bias

    def unbiased(self, x: Tensor, run: Pass, norm: Norm | None, lacking: Tensor | None = None) -> Tensor:
        """`forward` less the bias; `lacking` is the bias that x was left without."""
        batch, frames, rows, columns, channels = x.shape
        memory = run.memory[self]

        def fill(new: Tensor, at: slice) -> None:
            fill_causal(new, x, memory[:, :, at], lacking, None if norm is None else norm.gamma.flatten())

        shape = (batch, CONTEXT_FRAMES + frames, rows, columns, channels)
        if self.rows == 1:
            full = x.new_empty(shape)
            fill(full, run.sweep.take(self, rows))
        else:
            full = run.sweep.around(self, x, shape, fill)
        return over_time(full, self.weight, None)[..., : self.out_channels]


class ResidualBlock(nn.Module):
    """shortcut(x) + conv(silu(norm(conv(silu(norm(x)))))); the shortcut is a 1x1x1 where the widths differ."""

    def __init__(self, channels: int, out: int, scale: int) -> None:
        super().__init__()
        self.residual = nn.ModuleDict(
            {
                "0": Norm(channels),
                "2": CausalConv(channels, out, 3, scale),
                "3": Norm(out),
                "6": CausalConv(out, out, 3, scale),
            }
        )
        self.shortcut = nn.Conv3d(channels, out, 1) if channels != out else None

    def forward(self, x: Tensor, run: Pass) -> Tensor:
        """In bands, the output lags behind x by two rows. May be written over x."""
        norm, first, second_norm, second = cast("tuple[Norm, CausalConv, Norm, CausalConv]", self.residual.values())
        y = first.unbiased(x, run, norm)
        y = second.unbiased(y, run, second_norm, first.added)
        x = x if self.shortcut is None else _pointwise(self.shortcut, x)
        if run.sweep.band.whole:
            return add_biased(x, y, second.added)
        return run.sweep.add_behind(self, y + second.added, x)


class FrameAttention(nn.Module):
    """x + proj(attention) with one head, over all places of a frame, frame by frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = Norm(channels, axes=2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x: whole frames."""
        qkv = _pointwise(self.to_qkv, self.norm(x)).flatten(2, 3).flatten(0, 1).unsqueeze(1)
        q, k, v = qkv.chunk(3, dim=-1)  # (batch * frames, 1, places, channels)
        y = F.scaled_dot_product_attention(q, k, v)
        return x + _pointwise(self.proj, y.view(x.shape))


class Upsampler(nn.Module):
    """Twice the rows and columns at half the channels; `temporal` ones double the frames before that."""

    def __init__(self, channels: int, temporal: bool, scale: int) -> None:
        super().__init__()
        self.resample = nn.ModuleDict({"1": nn.Conv2d(channels, channels // 2, 3)})
        self.time_conv = CausalConv(channels, 2 * channels, 1, scale) if temporal else None
        self.doubling: nn.Parameter | None = None

    def prepare(self) -> None:
        """Enlarge and convolve in one step, where the picture comes whole."""
        weight = self._conv.weight
        kernel = doubling_kernel(weight.data).to(weight.dtype, memory_format=torch.channels_last)
        self.doubling = nn.Parameter(kernel, requires_grad=False)

    def forward(self, x: Tensor, run: Pass) -> Tensor:
        """A stream's first latent passes undoubled, and unseen by the memory: the next one has zeros before it.

        In bands, the output lags by one of its rows.
        """
        batch, _, rows, columns, channels = x.shape
        if self.time_conv is None or run.starts:
            x = x.unsqueeze(2)
        else:  # its channels are two frames' one after another
            x = self.time_conv(x, run).unflatten(-1, (2, channels)).movedim(-2, 2)
        if self.doubling is not None and run.sweep.band.whole:
            return self._doubled(x.flatten(0, 2), self.doubling).unflatten(0, (batch, -1))
        frames, growth = x.shape[1:3]

        def fill(new: Tensor, _: slice) -> None:
            new.view(batch, frames, growth, rows, 2, columns, 2, channels).copy_(x[:, :, :, :, None, :, None])

        shape = (batch, frames * growth, 2 * rows, 2 * columns, channels)
        return by_frame(run.sweep.around(self, x, shape, fill), self._conv.weight, self._conv.bias)

    @property
    def _conv(self) -> nn.Conv2d:
        conv = self.resample["1"]
        assert isinstance(conv, nn.Conv2d)
        return conv

    def _doubled(self, x: Tensor, kernel: Tensor) -> Tensor:
        """(frames, rows, columns, channels) -> twice the rows and columns."""
        y = up_conv(x.permute(0, 3, 1, 2), kernel).permute(0, 2, 3, 1)
        assert self._conv.bias is not None
        return y.add_(self._conv.bias)


def _pointwise(conv: nn.Conv2d | nn.Conv3d, x: Tensor) -> Tensor:
    return pointwise(x, conv.weight, conv.bias)
