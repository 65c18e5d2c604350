"""The last convolution of a decoder, to three colours: too narrow for a library's kernels, which read x nine times."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

_PIXELS = 64
_ROWS = 16


def rgb_kernel(weight: Tensor) -> Tensor:
    """weight (3, C, 3, 3) -> (3, C, 16): by column of the kernel; row and colour side by side, padded to 4 each."""
    kernel = weight.new_zeros(3, weight.shape[1], 4, 4)
    kernel[:, :, :3, :3] = weight.permute(3, 1, 2, 0)
    return kernel.flatten(2)


def conv_rgb(x: Tensor, kernel: Tensor, bias: Tensor, out: Tensor) -> None:
    """See `rgb.conv_rgb`; kernel of `rgb_kernel`, out (batch, 3, rows, columns), contiguous.

    Where out has as many rows as x, rows are padded with zeros; else it has two fewer.
    """
    batch, channels, height, width = x.shape
    made = out.shape[2]
    row_padding = (made - height + 2) // 2
    assert x.stride(1) == 1
    assert out.is_contiguous()
    assert channels & (channels - 1) == 0
    grid = (triton.cdiv(width, _PIXELS), triton.cdiv(made, _ROWS), batch)
    _conv_rgb[grid](
        x, kernel, bias, out, height, width, made, row_padding, x.stride(0), x.stride(2), x.stride(3),
        CHANNELS=channels, PIXELS=_PIXELS, ROWS=_ROWS, num_warps=4, num_stages=2,
    )  # fmt: skip


@triton.jit
def _conv_rgb(x, kernel, bias, out, height, width, made, row_padding, x_batch, x_row, x_column, CHANNELS: tl.constexpr, PIXELS: tl.constexpr, ROWS: tl.constexpr):  # type: ignore[no-untyped-def]  # fmt: skip
    """From row to row: each input row's products go to three output rows, of which two still wait for more."""
    column = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    first, batch = tl.program_id(1) * ROWS, tl.program_id(2).to(tl.int64)
    channel, lane = tl.arange(0, CHANNELS), tl.arange(0, 16)
    left = tl.load(kernel + channel[:, None] * 16 + lane[None, :])
    middle = tl.load(kernel + CHANNELS * 16 + channel[:, None] * 16 + lane[None, :])
    right = tl.load(kernel + 2 * CHANNELS * 16 + channel[:, None] * 16 + lane[None, :])
    colour, tap = tl.arange(0, 4), tl.arange(0, 4)[None, :, None]
    offset = tl.load(bias + colour, mask=colour < 3, other=0.0).to(tl.float32)[None, :]
    x += batch * x_batch
    out += batch * 3 * made * width
    above = tl.zeros((PIXELS, 4), tl.float32)
    here = tl.zeros((PIXELS, 4), tl.float32)
    for step in range(0, ROWS + 2):
        row = first + step - row_padding + 0 * column
        there = (row >= 0) & (row < height)
        place = x + row[:, None].to(tl.int64) * x_row + column[:, None].to(tl.int64) * x_column + channel[None, :]
        inner = ((column < width) & there)[:, None]
        sums = tl.dot(tl.load(place, mask=inner, other=0.0), middle, input_precision="ieee")
        beside = ((column >= 1) & (column <= width) & there)[:, None]
        sums = tl.dot(tl.load(place - x_column, mask=beside, other=0.0), left, sums, input_precision="ieee")
        beside = ((column + 1 < width) & there)[:, None]
        sums = tl.dot(tl.load(place + x_column, mask=beside, other=0.0), right, sums, input_precision="ieee")
        parts = tl.reshape(sums, (PIXELS, 4, 4))
        done = above + tl.sum(tl.where(tap == 2, parts, 0.0), 1)
        above = here + tl.sum(tl.where(tap == 1, parts, 0.0), 1)
        here = tl.sum(tl.where(tap == 0, parts, 0.0), 1)
        made_row = row + row_padding - 2
        target = out + (colour[None, :] * made + made_row[:, None]) * width + column[:, None]
        wanted = (colour < 3)[None, :] & (column < width)[:, None] & ((made_row >= first) & (made_row < made))[:, None]
        tl.store(target, (done + offset).to(out.dtype.element_ty), mask=wanted)
