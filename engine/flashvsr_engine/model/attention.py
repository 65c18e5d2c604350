"""The two attentions of a DiT block. Weights only: the KV window and the attention itself are passed in."""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from flashvsr_engine.model.norm import RMSNorm
from flashvsr_engine.model.rope import Rotation, rotate


class Window(Protocol):
    """The keys and values of the slices before this one."""

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Take a chunk's (batch, heads, tokens, head_dim); return those of the window with the chunk's in it."""


class Attend(Protocol):
    """softmax(q k^T / sqrt(head_dim)) v over the pairs of blocks that the implementation selects."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, k_means: Tensor) -> Tensor:
        """q (batch, heads, tokens, head_dim), k and v (batch, heads, keys, head_dim), k_means (batch, heads, key
        blocks, head_dim); returns q's shape."""

    def means(self, k: Tensor) -> Tensor:
        """Means of blocks of keys, as `__call__` wants them."""


class SelfAttention(nn.Module):
    """Self-attention over the chunk and its KV window, with rotary positions."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q, self.norm_k = RMSNorm(dim), RMSNorm(dim)

    def forward(self, x: Tensor, positions: Rotation, window: Window, attend: Attend) -> Tensor:
        """x: (batch, tokens, dim) in window order."""
        q = rotate(self._split(self.norm_q(self.q(x))), positions)
        k = rotate(self._split(self.norm_k(self.k(x))), positions)
        keys, values = window.append(k, self._split(self.v(x)))
        return self.o(_join(attend(q, keys, values, attend.means(keys))))

    def _split(self, x: Tensor) -> Tensor:
        return rearrange(x, "b t (h d) -> b h t d", h=self.heads)


class CrossAttention(nn.Module):
    """Attention to the prompt. Its keys and values never change: `context` makes them once."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q, self.norm_k = RMSNorm(dim), RMSNorm(dim)

    def context(self, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (1, heads, length, head_dim) of an embedded prompt (1, length, dim)."""
        return self._split(self.norm_k(self.k(prompt))), self._split(self.v(prompt))

    def forward(self, x: Tensor, context: tuple[Tensor, Tensor]) -> Tensor:
        """x: (batch, tokens, dim)."""
        q = self._split(self.norm_q(self.q(x)))
        k, v = (t.expand(x.shape[0], -1, -1, -1) for t in context)
        return self.o(_join(F.scaled_dot_product_attention(q, k, v)))

    def _split(self, x: Tensor) -> Tensor:
        return rearrange(x, "b t (h d) -> b h t d", h=self.heads)


def _join(x: Tensor) -> Tensor:
    return rearrange(x, "b h t d -> b t (h d)")
