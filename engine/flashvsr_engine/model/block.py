"""A block of the DiT: self-attention over the KV window, cross-attention to the prompt, feed-forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from flashvsr_engine.kernels.linear import linear_gelu
from flashvsr_engine.kernels.norms import (
    gated_residual,
    gated_residual_affine_norm,
    gated_residual_norm,
    modulated_norm,
)
from flashvsr_engine.model.attention import Attend, CrossAttention, SelfAttention, Window, join
from flashvsr_engine.model.norm import EPS
from flashvsr_engine.model.rope import Rotation


class Block(nn.Module):
    """Parameter names are those of the published file."""

    def __init__(self, dim: int, heads: int, ffn: int) -> None:
        super().__init__()
        self.self_attn = SelfAttention(dim, heads)
        self.cross_attn = CrossAttention(dim, heads)
        self.norm3 = nn.LayerNorm(dim, eps=EPS)
        self.ffn = nn.Sequential(nn.Linear(dim, ffn), nn.GELU(approximate="tanh"), nn.Linear(ffn, dim))
        self.modulation = nn.Parameter(torch.zeros(1, 6, dim))

    def forward(
        self,
        x: Tensor,
        modulation: Tensor,
        context: tuple[Tensor, Tensor],
        positions: Rotation,
        window: Window,
        attend: Attend,
        parts: Sequence[slice],
    ) -> Tensor:
        """x: (batch, tokens, dim) in window order. May be written over."""
        shift, scale, gate, *feed_forward = modulation
        attended = self._attended(x, shift, scale, positions, window, attend, parts)
        if len(parts) == 1:
            return self._rest(x, attended, gate, context, attend, *feed_forward)
        for part in parts:
            x[:, part] = self._rest(x[:, part], attended[:, part], gate, context, attend, *feed_forward)
        return x

    def _attended(
        self,
        x: Tensor,
        shift: Tensor,
        scale: Tensor,
        positions: Rotation,
        window: Window,
        attend: Attend,
        parts: Sequence[slice],
    ) -> Tensor:
        q: Tensor | None = None
        for part in parts:
            y = modulated_norm(x[:, part], shift, scale)
            if q is None:
                q = y.new_empty(*x.shape[:2], self.self_attn.heads, x.shape[2] // self.self_attn.heads)
                keys, values = window.open(q)
            self.self_attn.project(y, positions.part(part), q[:, part], keys[:, part], values[:, part])
        assert q is not None
        del y
        return join(attend(q.transpose(1, 2), *window.close()))

    def _rest(
        self,
        x: Tensor,
        attended: Tensor,
        gate: Tensor,
        context: tuple[Tensor, Tensor],
        attend: Attend,
        shift_m: Tensor,
        scale_m: Tensor,
        gate_m: Tensor,
    ) -> Tensor:
        """What follows self-attention, each token by itself."""
        norm3, (widen, _, narrow) = self.norm3, cast("tuple[nn.Linear, nn.Module, nn.Linear]", self.ffn)
        x, y = gated_residual_affine_norm(x, self.self_attn.o(attended), gate, norm3.weight, norm3.bias)
        x, y = gated_residual_norm(x, self.cross_attn(y, context, attend), None, shift_m, scale_m)
        return gated_residual(x, narrow(linear_gelu(y, widen.weight, widen.bias)), gate_m)
