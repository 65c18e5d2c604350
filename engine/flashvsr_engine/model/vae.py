"""The decoder of the Wan 2.1 VAE as a stream: latents -> frames, latent by latent, with a memory.

diffusers has the network as AutoencoderKLWan; that keeps the memory in the module, one stream at a time, and decodes
whole clips, so it cannot serve sessions.

The keys of the published file, less `encoder.*` and `conv1.*`, are the names of the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from flashvsr_engine.bands import cut, reach, whole
from flashvsr_engine.kernels.causal import CONTEXT_FRAMES
from flashvsr_engine.model.conv import pointwise
from flashvsr_engine.model.sweep import Sweep
from flashvsr_engine.model.vae_layers import (
    CausalConv,
    FrameAttention,
    Norm,
    Pass,
    ResidualBlock,
    Upsampler,
)

V = TypeVar("V")

VAEMemory = tuple[Tensor, ...]
"""The last two input frames of each causal convolution, (batch, 2, rows, columns, channels)."""

LEVELS = 4
BLOCKS_PER_LEVEL = 3
TEMPORAL = (True, True, False)
"""Which upsamplers double the frames: 4 frames a latent, but 1 for a stream's first."""
REACH = reach((6, 1 + 6, 1 + 6, 1 + 6 + 1))
"""In latent rows, of all that comes after the middle: two convolutions a block, one an upsampler, one in the head."""

# Of the published latents, per channel, in ten-thousandths: integers, which a cast of the module leaves as they are.
# fmt: off
_MEAN = (-7571, -7089, -9113, 1075, -1745, 9653, -1517, 15508,
         4134, -715, 5517, -3632, -1922, -9497, 2503, -2921)
_STD = (28184, 14541, 23275, 26558, 12196, 17708, 26052, 20743,
        32687, 21526, 28652, 15579, 16382, 11253, 28251, 19160)
# fmt: on
_UNIT = 10_000
LATENT_CHANNELS = len(_MEAN)


@dataclass(frozen=True, slots=True)
class VAESizes:
    """Channels at 1/8, 1/4, 1/2 and full size: 384, 384, 192, 96 as published."""

    channels: tuple[int, int, int, int]


class _Layers(nn.Module):
    """What the file names `decoder`."""

    def __init__(self, sizes: VAESizes) -> None:
        super().__init__()
        deep, shallow = sizes.channels[0], sizes.channels[-1]
        self.conv1 = CausalConv(LATENT_CHANNELS, deep, 3, 1)
        self.middle = nn.ModuleList((ResidualBlock(deep, deep, 1), FrameAttention(deep), ResidualBlock(deep, deep, 1)))
        self.upsamples = nn.ModuleList(_upsamples(sizes))
        self.head = nn.ModuleDict({"0": Norm(shallow), "2": CausalConv(shallow, 3, 3, 2 ** (LEVELS - 1))})

    def whole(self, x: Tensor, run: Pass) -> Tensor:
        """To the end of the middle, whose attention is over whole frames."""
        before, attention, after = self.middle
        return after(attention(before(self.conv1(x, run), run)), run)

    def band(self, x: Tensor, run: Pass) -> Tensor:
        """The rest, band by band: to frames, channels last."""
        for layer in self.upsamples:
            x = layer(x, run)
        return self.head["2"](x, run, self.head["0"]).clamp_(-1, 1)


class WanDecoder(nn.Module):
    """See the module's docstring."""

    mean: Tensor
    std: Tensor

    def __init__(self, sizes: VAESizes) -> None:
        super().__init__()
        self.sizes = sizes
        for name, values in (("mean", _MEAN), ("std", _STD)):
            # On the CPU whatever the default device: no file fills them.
            self.register_buffer(name, torch.tensor(values, dtype=torch.int32, device="cpu"), persistent=False)
        self.conv2 = nn.Conv3d(LATENT_CHANNELS, LATENT_CHANNELS, 1)
        self.decoder = _Layers(sizes)

    def prepare(self) -> None:
        """Rewrite the layers as they run fastest on CUDA in half precision; results change within rounding."""
        for layer in self.modules():
            if isinstance(layer, CausalConv | Upsampler):
                layer.prepare()

    def forward(self, latents: Tensor, memory: VAEMemory | None, parts: int = 1) -> tuple[Tensor, VAEMemory]:
        """Decode whole latents.

        latents: (batch, 16, L, H/8, W/8), as the DiT makes them. memory: of the call before, None at the start of a
        stream; it is written over and returned, so that a stream holds it once. parts: how many bands of rows all
        that comes after the middle is computed in; the result is the same.
        Returns frames (batch, T, 3, H, W) in [-1, 1], T = 4 L, or 1 + 4 (L - 1) at the start, and the memory.
        """
        batch, _, count, rows, columns = latents.shape
        starts = memory is None
        held = self.new_memory(batch, rows, columns, latents) if memory is None else memory
        by_layer: dict[nn.Module, Tensor] = dict(zip(self._causal(), held, strict=True))
        edges = [max(0, 4 * n - 3 * starts) for n in range(count + 1)]
        size = 2 ** (LEVELS - 1)
        frames = latents.new_empty(batch, edges[-1], 3, size * rows, size * columns)
        x = latents.movedim(1, -1).float() * (self.std / _UNIT) + self.mean / _UNIT
        x = x.to(latents.dtype)
        for n in range(count):
            first = starts and n == 0
            self._decode(x[:, n : n + 1], by_layer, first, parts, frames[:, edges[n] : edges[n + 1]])
        return frames, held

    def memory_shapes(self, batch: int, rows: int, columns: int) -> list[tuple[int, ...]]:
        """Of the memory of a stream of latents of rows x columns."""
        return [
            (batch, CONTEXT_FRAMES, conv.scale * rows, conv.scale * columns, conv.in_channels)
            for conv in self._causal()
        ]

    def new_memory(self, batch: int, rows: int, columns: int, like: Tensor) -> VAEMemory:
        """The memory before a stream, zeros of the type and on the device of `like`."""
        return tuple(like.new_zeros(shape) for shape in self.memory_shapes(batch, rows, columns))

    def _causal(self) -> list[CausalConv]:
        return [module for module in self.modules() if isinstance(module, CausalConv)]

    def _decode(self, x: Tensor, memory: dict[nn.Module, Tensor], starts: bool, parts: int, out: Tensor) -> None:
        """One latent, into its frames."""
        rows = x.shape[2]
        run = Pass(memory, Sweep(whole(rows)), starts)
        x = self.decoder.whole(pointwise(x, self.conv2.weight, self.conv2.bias), run)
        done = 0
        for band in cut(rows, parts, REACH):
            run.sweep.band = band
            y = self.decoder.band(x[:, :, band.start : band.stop], run)
            out[:, :, :, done : done + y.shape[2]] = y.permute(0, 1, 4, 2, 3)
            done += y.shape[2]
        assert done == out.shape[3], "the bands make the whole frame"


def _upsamples(sizes: VAESizes) -> list[nn.Module]:
    """The levels, one after another: three blocks each, and an upsampler after all but the last."""
    layers: list[nn.Module] = []
    width = sizes.channels[0]
    for level, channels in enumerate(sizes.channels):
        for _ in range(BLOCKS_PER_LEVEL):
            layers.append(ResidualBlock(width, channels, 2**level))
            width = channels
        if level < LEVELS - 1:
            layers.append(Upsampler(channels, TEMPORAL[level], 2**level))
            width = channels // 2
    return layers


def vae_sizes(shapes: Mapping[str, Sequence[int]]) -> VAESizes:
    """Read the sizes off the shapes of a file's tensors; KeyError or ValueError where they are not this VAE's."""
    firsts = (level * (BLOCKS_PER_LEVEL + 1) for level in range(LEVELS))
    c0, c1, c2, c3 = (shapes[f"decoder.upsamples.{first}.residual.2.weight"][0] for first in firsts)
    return VAESizes((c0, c1, c2, c3))


def decoding(tensors: Mapping[str, V]) -> dict[str, V]:
    """Those tensors of the published file that decode."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(("encoder.", "conv1."))}
