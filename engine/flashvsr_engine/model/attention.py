"""The two attentions of a DiT block. Weights only: the KV window and the attention itself are passed in."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from flashvsr_engine.kernels.linear import linear_into
from flashvsr_engine.model.norm import RMSNorm
from flashvsr_engine.model.rope import Rotation, norm_rotate


class Window(Protocol):
    """The keys and values of the slices before this one, with room for this one's."""

    def open(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Where the chunk's keys and values, each of shape and type of `like`, are to be written."""

    def close(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Keys and values (batch, heads, keys, head_dim) that the chunk sees, and the means of their blocks."""


class Attend(Protocol):
    """softmax(q k^T / sqrt(head_dim)) v over the pairs of blocks that the implementation selects."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, k_means: Tensor | None) -> Tensor:
        """q (batch, heads, tokens, head_dim), k and v (batch, heads, keys, head_dim); returns q's shape.

        k_means: float32 (batch, heads, key blocks, head_dim), what `Window.close` gave.
        """

    def cross(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """The same over all keys, of the prompt."""


class SelfAttention(nn.Module):
    """Self-attention over the chunk and its KV window, with rotary positions."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q, self.norm_k = RMSNorm(dim), RMSNorm(dim)

    def project(self, y: Tensor, positions: Rotation, q: Tensor, k: Tensor, v: Tensor) -> None:
        """Write queries, keys and values of tokens y (batch, tokens, dim) to (batch, tokens, heads, head_dim)."""
        norm_rotate(self.q(y), self.norm_q.weight, positions, out=q)
        norm_rotate(self.k(y), self.norm_k.weight, positions, out=k)
        linear_into(y, self.v.weight, self.v.bias, out=v)


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

    def forward(self, x: Tensor, context: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        """x: (batch, tokens, dim)."""
        q = self._split(self.norm_q(self.q(x)))
        k, v = (t.expand(x.shape[0], -1, -1, -1) for t in context)
        return self.o(join(attend.cross(q, k, v)))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def join(x: Tensor) -> Tensor:
    """(batch, heads, tokens, head_dim) -> (batch, tokens, dim)."""
    return x.transpose(1, 2).flatten(2)
