"""The one-step DiT: noise and LQ tokens -> velocity. Weights only; what a stream changes is passed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from flashvsr_engine.kernels.norms import modulated_norm
from flashvsr_engine.model.attention import Attend, Window
from flashvsr_engine.model.block import Block
from flashvsr_engine.model.rope import Rotation
from flashvsr_engine.model.windows import from_windows, to_windows

TIMESTEP = 1000
PATCH = 2


@dataclass(frozen=True, slots=True)
class DiTSizes:
    """Published: dim 1536, 30 blocks, 12 heads, ffn 8960, text 4096, freq 256, 16 channels in and out."""

    dim: int
    blocks: int
    heads: int
    ffn: int
    text: int
    freq: int
    channels: int = 16

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.dim // self.heads


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What timestep and prompt come to; the same for all frames of all streams, so computed once.

    blocks: six modulation vectors for each block, float32 (6, 1, dim). head: two for the head, float32 (2, 1, dim).
    context: keys and values of the prompt for each block.
    """

    blocks: tuple[Tensor, ...]
    head: Tensor
    context: tuple[tuple[Tensor, Tensor], ...]

    def tensors(self) -> list[Tensor]:
        """All of it."""
        return [*self.blocks, self.head, *(tensor for pair in self.context for tensor in pair)]


class Windows(Protocol):
    """The KV windows of all blocks, asked for in order."""

    def __getitem__(self, block: int, /) -> Window:
        """That of one block."""


class Head(nn.Module):
    """Modulated norm and a linear layer back to patches of the latent."""

    def __init__(self, sizes: DiTSizes) -> None:
        super().__init__()
        self.head = nn.Linear(sizes.dim, sizes.channels * PATCH * PATCH)
        self.modulation = nn.Parameter(torch.zeros(1, 2, sizes.dim))

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x: (batch, tokens, dim)."""
        shift, scale = modulation
        return self.head(modulated_norm(x, shift, scale))


class DiT(nn.Module):
    """See the module's docstring; parameter names are those of the published file."""

    def __init__(self, sizes: DiTSizes) -> None:
        super().__init__()
        self.sizes = sizes
        dim = sizes.dim
        self.patch_embedding = nn.Conv3d(sizes.channels, dim, (1, PATCH, PATCH), (1, PATCH, PATCH))
        self.text_embedding = nn.Sequential(
            nn.Linear(sizes.text, dim), nn.GELU(approximate="tanh"), nn.Linear(dim, dim)
        )
        self.time_embedding = nn.Sequential(nn.Linear(sizes.freq, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.blocks = nn.ModuleList(Block(dim, sizes.heads, sizes.ffn) for _ in range(sizes.blocks))
        self.head = Head(sizes)

    def condition(self, prompt: Tensor) -> Conditioning:
        """Embed timestep 1000 and the prompt (1, length, text); done once per engine."""
        weight = self.patch_embedding.weight
        e = self.time_embedding(_sinusoid(self.sizes.freq).to(weight))
        per_block = self.time_projection(e).view(1, 6, -1).float()
        text = self.text_embedding(prompt.to(weight))
        blocks = [cast(Block, block) for block in self.blocks]
        return Conditioning(
            blocks=tuple((block.modulation.float() + per_block)[0, :, None] for block in blocks),
            head=(self.head.modulation.float() + e.float())[0, :, None],
            context=tuple(block.cross_attn.context(text) for block in blocks),
        )

    def forward(
        self,
        noise: Tensor,
        lq_tokens: Sequence[Tensor],
        conditioning: Conditioning,
        positions: Rotation,
        windows: Windows,
        attend: Attend,
        part_tokens: int | None = None,
    ) -> Tensor:
        """Velocity, of the shape of `noise` (batch, 16, latents, H/8, W/8).

        lq_tokens[i] (batch, tokens, dim), in window order, is added to the input of block i. part_tokens: so many
        tokens at a time go through what concerns each token by itself, so that less memory is in use; None = all.
        """
        latents, rows, columns = (size // by for size, by in zip(noise.shape[2:], (1, PATCH, PATCH), strict=True))
        patches = rearrange(noise, "b c f (h p) (w q) -> b f h w (c p q)", p=PATCH, q=PATCH)
        x = F.linear(to_windows(patches), self.patch_embedding.weight.flatten(1), self.patch_embedding.bias)
        step = part_tokens or x.shape[1]
        parts = [slice(start, start + step) for start in range(0, x.shape[1], step)]
        for i, block in enumerate(self.blocks):
            if i < len(lq_tokens):
                x = x + lq_tokens[i]
            x = block(x, conditioning.blocks[i], conditioning.context[i], positions, windows[i], attend, parts)
        grid = from_windows(self.head(x, conditioning.head), latents, rows, columns)
        return rearrange(grid, "b f h w (p q c) -> b c f (h p) (w q)", p=PATCH, q=PATCH)


def _sinusoid(freq: int) -> Tensor:
    """[cos | sin] of TIMESTEP * 10000^(-i / (freq / 2)), float64 (1, freq)."""
    half = freq // 2
    angles = TIMESTEP * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    return torch.cat((angles.cos(), angles.sin()))[None]


def dit_sizes(shapes: dict[str, Sequence[int]], head_dim: int) -> DiTSizes:
    """Read the sizes off the shapes of a file's tensors; KeyError or ValueError where they are not a DiT's."""
    dim, channels = shapes["patch_embedding.weight"][:2]
    numbers = {int(name.split(".")[1]) for name in shapes if name.startswith("blocks.")}
    if dim % head_dim:
        raise ValueError(f"width {dim} is no multiple of the head size {head_dim}")
    return DiTSizes(
        dim=dim,
        blocks=max(numbers, default=-1) + 1,
        heads=dim // head_dim,
        ffn=shapes["blocks.0.ffn.0.weight"][0],
        text=shapes["text_embedding.0.weight"][1],
        freq=shapes["time_embedding.0.weight"][1],
        channels=channels,
    )
