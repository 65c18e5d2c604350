"""The LQ projector: upscaled low-quality frames -> tokens that condition the DiT.

Two causal 3-D convolutions, each halving time, over clips of 4 frames. Both published versions share the weights'
names and differ only in what lies in front of a clip in time:

- 1.1 ("causal"): the last two frames of the PREVIOUS clip. Clips are then one continuous stream, so a whole chunk
  is one convolution over [memory, chunk].
- 1.0 ("buffer"): the last two frames of the clip ITSELF. Clips are independent and become a batch.

A 3-D convolution that spans 4 frames is a 2-D one over the 4 frames' channels; as such, with the channels last, it
runs at the speed of a matrix product. Tensors here are (batch, frames, rows, columns, channels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from flashvsr_engine.model.norm import ChannelNorm
from flashvsr_engine.model.projector_memory import ProjectorMemory
from flashvsr_engine.model.rows import Rows, bands_of
from flashvsr_engine.model.windows import WINDOW_ROWS, to_windows

ProjectorVersion = Literal["1.0", "1.1"]
CLIP_FRAMES = 4
PATCH = 16
CONTEXT_FRAMES = 2
STRIDE = 2


@dataclass(frozen=True, slots=True)
class ProjectorSizes:
    """Channels after each convolution (published: 2048, 3072), the DiT's width, how many of its blocks get tokens."""

    hidden1: int
    hidden2: int
    dim: int
    layers: int = 1


class LQProjector(nn.Module):
    """See the module's docstring."""

    def __init__(self, sizes: ProjectorSizes, version: ProjectorVersion) -> None:
        super().__init__()
        self.version = version
        kernel, stride = (CLIP_FRAMES, 3, 3), (STRIDE, 1, 1)
        self.conv1 = nn.Conv3d(3 * PATCH * PATCH, sizes.hidden1, kernel, stride)
        self.norm1 = ChannelNorm(sizes.hidden1)
        self.conv2 = nn.Conv3d(sizes.hidden1, sizes.hidden2, kernel, stride)
        self.norm2 = ChannelNorm(sizes.hidden2)
        self.linear_layers = nn.ModuleList(nn.Linear(sizes.hidden2, sizes.dim) for _ in range(sizes.layers))

    def prepare(self) -> None:
        """Lay the convolutions' weights out in memory as they are used; without it each call does so."""
        for conv in (self.conv1, self.conv2):
            order = conv.weight.data.permute(0, 3, 4, 2, 1).contiguous()
            conv.weight.data = order.permute(0, 4, 3, 1, 2)

    def forward(self, lq: Tensor, memory: ProjectorMemory, bands: int = 1) -> tuple[list[Tensor], ProjectorMemory]:
        """Project the frames of whole clips.

        lq: (batch, 3, frames, H, W) in [-1, 1], frames a multiple of 4, H and W of 128. At the start of a stream
        (empty memory) one frame more: frame 0, which yields no tokens and only fills the memory.
        bands: how many parts the picture is cut into from top to bottom, at most one per row of windows; more take
        less memory and give the same tokens.
        Returns one tensor (batch, tokens, dim) in window order for each of the DiT's blocks that gets them.
        """
        parts = [self._band(lq, memory, rows) for rows in bands_of(lq.shape[-2] // PATCH, bands, WINDOW_ROWS)]
        tokens = [torch.cat(of_layer, dim=2).flatten(1, 2) for of_layer in zip(*(t for t, _ in parts), strict=True)]
        kept = [m for _, m in parts]
        return tokens, ProjectorMemory(_joined([m.conv1 for m in kept]), _joined([m.conv2 for m in kept]))

    def _band(self, lq: Tensor, memory: ProjectorMemory, rows: Rows) -> tuple[list[Tensor], ProjectorMemory]:
        """Tokens (batch, slices, tokens, dim) for each layer, and the memory, of the rows of one band."""
        hidden = rows.grown()
        seen = hidden.grown()
        x = _patches(lq[..., seen.start * PATCH : seen.end * PATCH, :], self.conv1.weight.dtype)
        starts = x.shape[1] % CLIP_FRAMES == 1
        if self.version == "1.0":
            features, memory = self._independent_clips(x[:, 1:] if starts else x, rows), ProjectorMemory()
        else:
            if starts:
                past, x = self._first_clip(x[:, :1], hidden), x[:, 1:]
            else:
                past = _cut(memory, seen, hidden)
            features, memory = self._continuous_clips(x, past, rows)
        slices = features.shape[1] // 2
        tokens = to_windows(features).unflatten(1, (slices, -1))
        return [linear(tokens) for linear in self.linear_layers], memory

    def _first_clip(self, frame: Tensor, hidden: Rows) -> ProjectorMemory:
        """Clip 0 is frame 0 four times with itself in front; the second convolution is not run, only remembered."""
        whole = frame.expand(-1, CONTEXT_FRAMES + CLIP_FRAMES, -1, -1, -1)
        return ProjectorMemory(whole[:, :CONTEXT_FRAMES], _layer(whole, self.conv1, self.norm1, hidden))

    def _continuous_clips(self, x: Tensor, past: ProjectorMemory, rows: Rows) -> tuple[Tensor, ProjectorMemory]:
        assert past.conv1 is not None, "a stream starts with 4n + 1 frames"
        assert past.conv2 is not None
        own = rows.grown()
        hidden = _layer(torch.cat((past.conv1, x), dim=1), self.conv1, self.norm1, own)
        features = _layer(torch.cat((past.conv2, hidden), dim=1), self.conv2, self.norm2, rows)
        last_x, last_hidden = x[:, -CONTEXT_FRAMES:], hidden[:, -CONTEXT_FRAMES:]
        kept = ProjectorMemory(
            last_x[:, :, rows.within(own.grown())].clone(), last_hidden[:, :, rows.within(own)].clone()
        )
        return features, kept

    def _independent_clips(self, x: Tensor, rows: Rows) -> Tensor:
        batch = x.shape[0]
        clips = rearrange(x, "b (n f) h w d -> (b n) f h w d", f=CLIP_FRAMES)
        for conv, norm, made in ((self.conv1, self.norm1, rows.grown()), (self.conv2, self.norm2, rows)):
            clips = _layer(torch.cat((clips[:, -CONTEXT_FRAMES:], clips), dim=1), conv, norm, made)
        return rearrange(clips, "(b n) f h w d -> b (n f) h w d", b=batch)


def _patches(lq: Tensor, dtype: torch.dtype) -> Tensor:
    """(batch, 3, frames, H, W) -> (batch, frames, H / 16, W / 16, 768), in one copy that also converts."""
    patches = rearrange(lq, "b c f (h p) (w q) -> b f h w c p q", p=PATCH, q=PATCH)
    return torch.empty(patches.shape, dtype=dtype, device=lq.device).copy_(patches).flatten(4)


def _layer(x: Tensor, conv: nn.Conv3d, norm: ChannelNorm, made: Rows) -> Tensor:
    """Convolution, norm and activation: rows `made` from the rows `made.grown()` of x."""
    windows = x.unfold(1, CLIP_FRAMES, STRIDE)  # (b, frames, h, w, d, 4)
    batch, frames, height, width, channels, _ = windows.shape
    above, below = int(made.at_top), int(made.at_bottom)
    padded = x.new_empty(batch, frames, height + above + below, width + 2, CLIP_FRAMES, channels)
    padded[:, :, above : above + height, 1:-1] = windows.movedim(-1, -2)
    _replicate_border(padded, above, below)
    stacked = padded.flatten(0, 1).flatten(3).permute(0, 3, 1, 2)
    weight = conv.weight.transpose(1, 2).flatten(1, 2)  # a view once prepared
    y = F.conv2d(stacked, weight.contiguous(memory_format=torch.channels_last), conv.bias)
    y = y.permute(0, 2, 3, 1).contiguous().unflatten(0, (batch, frames))
    return norm(y)


def _replicate_border(padded: Tensor, above: int, below: int) -> None:
    """Fill the border of (batch, frames, rows, columns, ...) from what lies beside it."""
    if above:
        padded[:, :, 0] = padded[:, :, 1]
    if below:
        padded[:, :, -1] = padded[:, :, -2]
    padded[:, :, :, 0] = padded[:, :, :, 1]
    padded[:, :, :, -1] = padded[:, :, :, -2]


def _cut(memory: ProjectorMemory, seen: Rows, hidden: Rows) -> ProjectorMemory:
    assert memory.conv1 is not None, "a stream starts with 4n + 1 frames"
    assert memory.conv2 is not None
    return ProjectorMemory(memory.conv1[:, :, seen.start : seen.end], memory.conv2[:, :, hidden.start : hidden.end])


def _joined(bands: list[Tensor | None]) -> Tensor | None:
    known = [band for band in bands if band is not None]
    if len(known) < 2:
        return known[0] if known else None
    return torch.cat(known, dim=2)


def projector_sizes(shapes: dict[str, Sequence[int]]) -> ProjectorSizes:
    """Read the sizes off the shapes of a file's tensors; KeyError or ValueError where they are not a projector's."""
    dim, hidden2 = shapes["linear_layers.0.weight"]
    layers = sum(name.startswith("linear_layers.") and name.endswith(".weight") for name in shapes)
    return ProjectorSizes(hidden1=shapes["conv1.weight"][0], hidden2=hidden2, dim=dim, layers=layers)
