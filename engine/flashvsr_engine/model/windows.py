"""Window order: tokens of one attention window lie together.

A window is 2 latents x 8 rows x 8 columns of tokens, 128 tokens, one block of the sparse attention. The DiT keeps
its tokens in window order from its first layer to its last, so nothing is permuted around the attention.
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor

WINDOW_LATENTS = 2
WINDOW_ROWS = 8
WINDOW_COLUMNS = 8
WINDOW_TOKENS = WINDOW_LATENTS * WINDOW_ROWS * WINDOW_COLUMNS

_AXES = {"wf": WINDOW_LATENTS, "wr": WINDOW_ROWS, "wc": WINDOW_COLUMNS}


def to_windows(x: Tensor) -> Tensor:
    """(batch, latents, rows, columns, channels) -> (batch, tokens, channels) in order (slice, row, column, token)."""
    return rearrange(x, "b (f wf) (r wr) (c wc) d -> b (f r c wf wr wc) d", **_AXES)


def from_windows(x: Tensor, latents: int, rows: int, columns: int) -> Tensor:
    """The inverse of `to_windows`."""
    return rearrange(
        x,
        "b (f r c wf wr wc) d -> b (f wf) (r wr) (c wc) d",
        f=latents // WINDOW_LATENTS,
        r=rows // WINDOW_ROWS,
        c=columns // WINDOW_COLUMNS,
        **_AXES,
    )
