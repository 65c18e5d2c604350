"""The LQ projector: upscaled low-quality frames -> tokens that condition the DiT.

Two causal 3-D convolutions, each halving time, over clips of 4 frames. Both published versions share the weights'
names and differ only in what lies in front of a clip in time:

- 1.1 ("causal"): the last two frames of the PREVIOUS clip. Clips are then one continuous stream, so a whole chunk
  is one convolution over [memory, chunk].
- 1.0 ("buffer"): the last two frames of the clip ITSELF. Clips are independent and become a batch.
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
from flashvsr_engine.model.windows import to_windows

ProjectorVersion = Literal["1.0", "1.1"]
CLIP_FRAMES = 4
PATCH = 16
CONTEXT_FRAMES = 2


@dataclass(frozen=True, slots=True)
class ProjectorSizes:
    """Channels after each convolution, width of the DiT, and how many of its blocks get tokens."""

    hidden1: int
    hidden2: int
    dim: int
    layers: int = 1


@dataclass(frozen=True, slots=True)
class ProjectorMemory:
    """What a stream keeps between chunks: the last two input frames of each convolution (empty for version 1.0)."""

    conv1: Tensor | None = None
    conv2: Tensor | None = None

    def tensors(self) -> list[Tensor]:
        """What is held."""
        return [t for t in (self.conv1, self.conv2) if t is not None]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(t.nbytes for t in self.tensors())

    def part(self, start: int, stop: int) -> ProjectorMemory:
        """That of some of the batch's streams or tiles."""
        return ProjectorMemory(*(t[start:stop] for t in self.tensors()))

    @classmethod
    def joined(cls, parts: Sequence[ProjectorMemory]) -> ProjectorMemory:
        """That of a batch made of parts."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(torch.cat(tensors) for tensors in zip(*(part.tensors() for part in parts), strict=True)))


class LQProjector(nn.Module):
    """See the module's docstring."""

    def __init__(self, sizes: ProjectorSizes, version: ProjectorVersion) -> None:
        super().__init__()
        self.version = version
        kernel, stride = (4, 3, 3), (2, 1, 1)
        self.conv1 = nn.Conv3d(3 * PATCH * PATCH, sizes.hidden1, kernel, stride)
        self.norm1 = ChannelNorm(sizes.hidden1)
        self.conv2 = nn.Conv3d(sizes.hidden1, sizes.hidden2, kernel, stride)
        self.norm2 = ChannelNorm(sizes.hidden2)
        self.linear_layers = nn.ModuleList(nn.Linear(sizes.hidden2, sizes.dim) for _ in range(sizes.layers))

    def forward(self, lq: Tensor, memory: ProjectorMemory, bands: int = 1) -> tuple[list[Tensor], ProjectorMemory]:
        """Project the frames of whole clips.

        lq: (batch, 3, frames, H, W) in [-1, 1], frames a multiple of 4, H and W of 128. At the start of a stream
        (empty memory) one frame more: frame 0, which yields no tokens and only fills the memory.
        Returns one tensor (batch, tokens, dim) in window order for each of the DiT's blocks that gets them.
        """
        x = rearrange(lq, "b c f (h p) (w q) -> b (c p q) f h w", p=PATCH, q=PATCH)
        starts = x.shape[2] % CLIP_FRAMES == 1
        if self.version == "1.0":
            features = self._independent_clips(x[:, :, 1:] if starts else x)
        else:
            if starts:
                memory, x = self._first_clip(x[:, :, :1]), x[:, :, 1:]
            features, memory = self._continuous_clips(x, memory)
        tokens = to_windows(rearrange(features, "b d f h w -> b f h w d"))
        return [linear(tokens) for linear in self.linear_layers], memory

    def _layer(self, x: Tensor, conv: nn.Module, norm: nn.Module) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1, 0, 0), mode="replicate")
        return F.silu(norm(conv(padded)))

    def _first_clip(self, frame: Tensor) -> ProjectorMemory:
        """Clip 0 is frame 0 four times with itself in front; the second convolution is not run, only remembered."""
        hidden = self._layer(frame.expand(-1, -1, CONTEXT_FRAMES + CLIP_FRAMES, -1, -1), self.conv1, self.norm1)
        return ProjectorMemory(conv1=frame.repeat(1, 1, CONTEXT_FRAMES, 1, 1), conv2=hidden)

    def _continuous_clips(self, x: Tensor, memory: ProjectorMemory) -> tuple[Tensor, ProjectorMemory]:
        assert memory.conv1 is not None, "a stream starts with 4n + 1 frames"
        assert memory.conv2 is not None
        hidden = self._layer(torch.cat((memory.conv1, x), dim=2), self.conv1, self.norm1)
        features = self._layer(torch.cat((memory.conv2, hidden), dim=2), self.conv2, self.norm2)
        kept = [t[:, :, -CONTEXT_FRAMES:].clone() for t in (x, hidden)]
        return features, ProjectorMemory(*kept)

    def _independent_clips(self, x: Tensor) -> Tensor:
        batch = x.shape[0]
        clips = rearrange(x, "b d (n f) h w -> (b n) d f h w", f=CLIP_FRAMES)
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2)):
            clips = self._layer(torch.cat((clips[:, :, -CONTEXT_FRAMES:], clips), dim=2), conv, norm)
        return rearrange(clips, "(b n) d f h w -> b d (n f) h w", b=batch)


def projector_sizes(shapes: dict[str, Sequence[int]]) -> ProjectorSizes:
    """Read the sizes off the shapes of a file's tensors; KeyError or ValueError where they are not a projector's."""
    dim, hidden2 = shapes["linear_layers.0.weight"]
    layers = sum(name.startswith("linear_layers.") and name.endswith(".weight") for name in shapes)
    return ProjectorSizes(hidden1=shapes["conv1.weight"][0], hidden2=hidden2, dim=dim, layers=layers)
