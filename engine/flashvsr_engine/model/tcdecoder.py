"""TCDecoder, the small conditional decoder: latents and the upscaled input -> frames.

It works frame by frame with a memory: each MemBlock sees its own previous input frame. Within a call all frames of
a layer are one batch, with their predecessors shifted in beside them, which is the same arithmetic.

The published file is an nn.Sequential of 27 modules; the keys below are its indices. One liberty: there a TGrow
(a 1x1 convolution that multiplies the frames) follows the nearest upsampling. The two commute, so TGrow runs
first here, on a quarter of the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from flashvsr_engine.bands import cut, reach
from flashvsr_engine.kernels.conv import adds_in_place
from flashvsr_engine.kernels.rgb import conv_rgb
from flashvsr_engine.model.sweep import Sweep
from flashvsr_engine.model.tclayers import MemBlock, TGrow, Widen, conv_act_by_rows, conv_by_rows, strips, with_border

FRAMES_PER_LATENT = 4
PATCH = 8
LATENT_CHANNELS = 16
INPUT_CHANNELS = 3 * FRAMES_PER_LATENT * PATCH * PATCH + LATENT_CHANNELS
GROWTH = (1, 2, 2)
_MEM_BLOCKS = (("5", "6", "7"), ("11", "12", "13"), ("17", "18", "19"))
_GROWS = ("9", "15", "21")
_WIDENS = ("10", "16", "22")
REACH = reach((1 + 9 + 1, 9 + 1, 9 + 1, 2))
"""In latent rows, of all that comes after the first convolution: three convolutions a MemBlock, Widen at its input."""

STRIP_BYTES = 4 << 20
"""About the size of a full-size tensor of a strip: small beside a processor's last cache, large beside a call."""

FULL_SIZE_LAG = 4
"""Rows at full size by which the last Widen and the two convolutions after it lag behind their input, in bands."""

DecoderMemory = tuple[Tensor, ...]
"""The last input frame of each MemBlock, (batch, channels, height, width)."""


@dataclass(frozen=True, slots=True)
class TCDecoderSizes:
    """Channels at 1/8, 1/4, 1/2 and full size: 512, 256, 128, 128 as published."""

    channels: tuple[int, int, int, int]


class TCDecoder(nn.Module):
    """See the module's docstring. `slope` is the leaky slope of its activations: 0, a ReLU, as published."""

    def __init__(self, sizes: TCDecoderSizes, slope: float = 0.0) -> None:
        super().__init__()
        c0, c1, c2, c3 = sizes.channels
        self.sizes = sizes
        self.slope = slope
        self.decoder = nn.ModuleDict({"1": nn.Conv2d(INPUT_CHANNELS, c0, 3, padding=1), "3": _conv(c0, c0)})
        for stage, (width, wider) in enumerate(((c0, c1), (c1, c2), (c2, c3))):
            for key in _MEM_BLOCKS[stage]:
                self.decoder[key] = MemBlock(width, slope)
            self.decoder[_GROWS[stage]] = TGrow(width, GROWTH[stage])
            self.decoder[_WIDENS[stage]] = _conv(width, wider)
        self.decoder["24"] = _conv(c3, c3)
        self.decoder["26"] = nn.Conv2d(c3, 3, 3, padding=1)
        self.widen = nn.ModuleList()

    def prepare(self) -> None:
        """Rewrite the layers as they run fastest, for inference alone: the published names are gone afterwards.

        Convolutions over two frames become one for each frame; growth, enlargement and the convolution after them
        become one transposed convolution. Sums of products are regrouped, so results change within rounding.
        """
        for stage, keys in enumerate(_MEM_BLOCKS):
            pairs = prod(GROWTH[:stage]) % 2 == 0
            for key in keys:
                block = self.decoder[key]
                assert isinstance(block, MemBlock)
                block.prepare(pairs=pairs)
            grow, conv = self.decoder.pop(_GROWS[stage]), self.decoder.pop(_WIDENS[stage])
            assert isinstance(grow, TGrow)
            assert isinstance(conv, nn.Conv2d)
            self.widen.append(Widen(grow, conv, self.slope if stage == len(_GROWS) - 1 else None))

    @property
    def dtype(self) -> torch.dtype:
        """The type that it computes in."""
        return self.decoder["26"].weight.dtype  # type: ignore[return-value]

    def forward(
        self, latents: Tensor, lq: Tensor, memory: DecoderMemory | None, parts: int = 1
    ) -> tuple[Tensor, DecoderMemory]:
        """Decode whole latents.

        latents: (batch, 16, L, H/8, W/8). lq: (batch, 3, 4L, H, W) in [-1, 1], the frames that the latents stand
        for. memory: of the call before, None at the start of a stream. parts: how many bands of rows all that comes
        after the first convolution is computed in; the result is the same.
        Returns frames (batch, 4L, 3, H, W), in [0, 1] for a decoder that is no residual, and the memory.
        """
        batch, _, _, height, width = lq.shape
        x = self._first(latents, lq)
        kept = [_frames_like(x, (batch, *shape)) for shape in self._memory_shapes(*x.shape[2:])]
        frames = lq.new_empty(batch, lq.shape[2], 3, height, width)
        bands = cut(x.shape[2], parts, REACH)
        sweep, done = Sweep(bands[0]), 0
        for sweep.band in bands:
            y = self._stages(x[:, :, sweep.band.start : sweep.band.stop], memory, kept, sweep)
            done += self._finish(y, frames.flatten(0, 1)[:, :, done:], sweep)
        assert done == height, "the bands make the whole frame"
        return frames, tuple(kept)

    def _first(self, latents: Tensor, lq: Tensor) -> Tensor:
        """What comes out of the first convolution, (batch * L, channels, H/8, W/8)."""
        condition = rearrange(lq, "b c (n f) (h p) (w q) -> (b n) (c f p q) h w", f=FRAMES_PER_LATENT, p=PATCH, q=PATCH)
        count, channels, rows, columns = condition.shape
        x = _frames_like(condition, (count, channels + latents.shape[1], rows, columns))
        x[:, :channels] = condition
        x[:, channels:] = rearrange(latents, "b c n h w -> (b n) c h w")
        x = x.div_(3).tanh_()
        x = x * 3 if torch.is_grad_enabled() else x.mul_(3)  # the gradient wants what tanh gave
        return self._act(self.decoder["1"](x))

    def _stages(self, x: Tensor, memory: DecoderMemory | None, kept: list[Tensor], sweep: Sweep) -> Tensor:
        """A band through the layers up to half the size; puts its rows of the new memory in `kept`."""
        x = conv_act_by_rows(self.decoder["3"], x, sweep, self.slope)
        index = 0
        for stage, blocks in enumerate(_MEM_BLOCKS):
            for key in blocks:
                block, last = self.decoder[key], kept[index]
                rows, frames = sweep.take(block, x.shape[2]), x.shape[0] // last.shape[0]
                before = torch.zeros_like(x[::frames]) if memory is None else memory[index][:, :, rows]
                last[:, :, rows] = x[frames - 1 :: frames]
                x = block(x, before, sweep)
                index += 1
            if stage + 1 < len(_MEM_BLOCKS):
                x = self._widened(stage, x, sweep)
        return x

    def _finish(self, x: Tensor, out: Tensor, sweep: Sweep) -> int:
        """A band through the layers at full size, into the first rows of out (frames, 3, ...); returns how many."""
        last = len(_MEM_BLOCKS) - 1
        if not (self.widen and adds_in_place(x)):
            x = self._widened(last, x, sweep)
            y = self._coloured(x if self.widen else self._act(x), sweep)
            out[:, :, : y.shape[2]] = y
            return y.shape[2]
        # On a CPU frame by frame and in strips that its caches hold, which takes little more than half the time.
        for i, frame in enumerate(x.split(1)):
            self._finish_frame(frame, out[i * GROWTH[last] : (i + 1) * GROWTH[last]], sweep.of(i))
            if x.is_meta:
                break  # a plan: all frames take the same
        return 2 * x.shape[2] + FULL_SIZE_LAG * (sweep.band.last - sweep.band.first)

    def _finish_frame(self, x: Tensor, out: Tensor, sweep: Sweep) -> None:
        """A band of one frame, into the first rows of the frames that grow of it; on a CPU."""
        widen, done = self.widen[-1], 0
        assert isinstance(widen, Widen)
        for rows, part in strips(x, sweep, STRIP_BYTES // (2 * GROWTH[-1])):
            wide, padding = with_border(widen, rows, part)
            for j, grown in enumerate(out):
                y = self._coloured(self._act(widen.grown(wide, j, padding)), part.of(j))
                grown[:, done : done + y.shape[2]] = y[0]
            done += y.shape[2]

    def _widened(self, stage: int, x: Tensor, sweep: Sweep) -> Tensor:
        """To twice the size, the next stage's channels and GROWTH[stage] frames for each."""
        if self.widen:
            return self.widen[stage](x, sweep)
        x = F.interpolate(self.decoder[_GROWS[stage]](x), scale_factor=2.0, mode="nearest")
        return conv_by_rows(self.decoder[_WIDENS[stage]], x, sweep)

    def _coloured(self, x: Tensor, sweep: Sweep) -> Tensor:
        """Activations at full size -> colours."""
        x = conv_act_by_rows(self.decoder["24"], x, sweep, self.slope)
        last = self.decoder["26"]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        x, padding = with_border(last, x, sweep)
        return conv_rgb(x, last.weight, last.bias, padding)

    def _memory_shapes(self, rows: int, columns: int) -> list[tuple[int, int, int]]:
        """(channels, height, width) of each MemBlock's frames, for latents of rows x columns."""
        stages = enumerate(self.sizes.channels[: len(_MEM_BLOCKS)])
        return [(width, rows << n, columns << n) for n, width in stages for _ in _MEM_BLOCKS[n]]

    def _act(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.slope, inplace=True)


def _conv(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, padding=1, bias=False)


def _frames_like(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


def tcdecoder_sizes(shapes: dict[str, Sequence[int]]) -> TCDecoderSizes:
    """Read the sizes off the shapes of a file's tensors; KeyError or ValueError where they are not a TCDecoder's."""
    c0, c1, c2, c3 = (shapes[f"decoder.{key}.weight"][0] for key in ("1", *_WIDENS))
    return TCDecoderSizes((c0, c1, c2, c3))
