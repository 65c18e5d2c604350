"""Rotary position embedding over (latent, row, column), for any latent index.

The published code keeps a table of 1,024 temporal positions; here the angles of a chunk are computed when it
comes, in float64 (an index of a million times an angle near 1 needs more than float32's 24 bits), and only their
cosines and sines are rounded to float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from flashvsr_engine.kernels import norms
from flashvsr_engine.model.windows import to_windows

THETA = 10000.0
Place = int | Tensor
"""Number of a latent in its stream; a tensor of one, int64, where the device alone is to know it."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Cosines and sines of every token's angles, each float32 ([batch,] tokens, head_dim / 2), in window order."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def stacked(cls, parts: Sequence[Rotation]) -> Rotation:
        """Those of several streams, as a batch."""
        return cls(torch.stack([part.cos for part in parts]), torch.stack([part.sin for part in parts]))

    def part(self, tokens: slice) -> Rotation:
        """That of some of the tokens."""
        return Rotation(self.cos[..., tokens, :], self.sin[..., tokens, :])


def axis_dims(head_dim: int) -> tuple[int, int, int]:
    """How many of a head's channels turn with the latent index, the row and the column: 44, 42, 42 at 128."""
    spatial = 2 * (head_dim // 6)
    return head_dim - 2 * spatial, spatial, spatial


def axis_angles(dim: int, start: Place, count: int, device: torch.device) -> Tensor:
    """Angles of `count` positions from `start` on one axis: float64 (count, dim / 2)."""
    exponents = torch.arange(0, dim, 2, dtype=torch.float64, device=device) / dim
    positions = torch.arange(count, dtype=torch.float64, device=device) + start
    return torch.outer(positions, THETA**-exponents)


def rotation(
    head_dim: int, first_latent: Place, latents: int, rows: int, columns: int, device: torch.device
) -> Rotation:
    """The rotation of `latents` latents from `first_latent` on, over a grid of rows x columns tokens."""
    time_dim, row_dim, column_dim = axis_dims(head_dim)
    shape = (latents, rows, columns)
    axes = (
        axis_angles(time_dim, first_latent, latents, device)[:, None, None],
        axis_angles(row_dim, 0, rows, device)[None, :, None],
        axis_angles(column_dim, 0, columns, device)[None, None, :],
    )

    def table(function: str) -> Tensor:
        parts = [getattr(torch, function)(angles).float().expand(*shape, -1) for angles in axes]
        return to_windows(torch.cat(parts, dim=-1)[None])[0]

    return Rotation(cos=table("cos"), sin=table("sin"))


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Turn the channel pairs (2i, 2i + 1) of x (batch, tokens, heads, head_dim); computed in float32."""
    return norms.rotate(x, by.cos, by.sin)


def norm_rotate(x: Tensor, weight: Tensor, by: Rotation, out: Tensor) -> None:
    """RMSNorm over all channels of x (batch, tokens, dim), then `rotate`, into (batch, tokens, heads, head_dim)."""
    norms.norm_rotate(x, weight, by.cos, by.sin, out.shape[2], out)
