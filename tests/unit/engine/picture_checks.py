"""The kernels at the decoder's end against plain torch, on any device that Triton has, its interpreter included.

TRITON_INTERPRET=1 python -m tests.unit.engine.picture_checks
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from flashvsr_engine.kernels.enlarge import enlarge_reference
from flashvsr_engine.kernels.interleave import interleave_reference
from flashvsr_engine.kernels.pack import pack_reference
from flashvsr_engine.kernels.triton_enlarge import enlarge
from flashvsr_engine.kernels.triton_interleave import interleave
from flashvsr_engine.kernels.triton_pack import pack
from flashvsr_engine.kernels.triton_rgb import conv_rgb, rgb_kernel


def check(device: str) -> None:
    """AssertionError where a kernel differs from plain torch."""
    torch.manual_seed(0)
    _sizes(device)
    half = torch.bfloat16 if device == "cuda" else torch.float16  # the interpreter multiplies no bfloat16 matrices
    for dtype in (torch.float32, half):
        _colours(dtype, device)
        _bytes(dtype, device)
        _turns(dtype, device)


def _colours(dtype: torch.dtype, device: str) -> None:
    for rows, columns in ((5, 130), (19, 40)):
        x = torch.randn(2, 16, rows, columns, device=device).to(dtype, memory_format=torch.channels_last)
        weight, bias = torch.randn(3, 16, 3, 3, device=device).to(dtype) / 12, torch.randn(3, device=device).to(dtype)
        for padding in (1, 0):
            expected = F.conv2d(x.double(), weight.double(), bias.double(), padding=(padding, 1)).float()
            found = torch.full(expected.shape, torch.nan, dtype=dtype, device=device)
            conv_rgb(x, rgb_kernel(weight), bias, found)
            bound = 1e-5 if dtype is torch.float32 else 2**-7
            torch.testing.assert_close(found.float(), expected, rtol=bound, atol=bound)


def _bytes(dtype: torch.dtype, device: str) -> None:
    y = torch.randn(2, 3, 7, 1100, device=device).to(dtype)
    factor, offset = torch.rand(2, 3, device=device) + 0.5, torch.rand(2, 3, device=device) - 0.5
    found = torch.zeros(2, 6, 1057, 3, dtype=torch.uint8, device=device)
    pack(y, factor, offset, found)
    difference = (found.int() - pack_reference(y, factor, offset, 6, 1057).int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 1e-3


def _turns(dtype: torch.dtype, device: str) -> None:
    parts = [torch.randn(3, 8, 17, 33, device=device).to(dtype, memory_format=torch.channels_last) for _ in range(2)]
    for slope in (None, 0.0, 0.25):
        expected = interleave_reference(parts, slope)
        found = torch.full_like(expected, torch.nan)
        interleave(parts[0], parts[1], found, slope)
        assert torch.equal(found, expected)


def _sizes(device: str) -> None:
    coarse = torch.randint(0, 256, (2, 3, 21, 3), dtype=torch.uint8, device=device)
    fine = torch.randint(0, 65536, (1, 3, 21, 3), device=device).to(torch.uint16)
    for frames in (coarse, fine):  # few rows, for the interpreter takes a tenth of a second for each
        for scale, padded in ((4, (12, 90)), (3, (11, 63)), (2, (15, 384))):
            size = (3 * scale, 21 * scale)
            expected = enlarge_reference(frames, size, padded)
            found = torch.full(expected.shape, torch.nan, device=device)
            enlarge(frames, size, found)
            torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


if __name__ == "__main__":
    check("cpu")
