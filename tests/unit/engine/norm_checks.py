"""The fused elementwise kernels against their twins, on any device that Triton has, its interpreter's CPU included.

TRITON_INTERPRET=1 python -m tests.unit.engine.norm_checks
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from flashvsr_engine.kernels import causal, norms, triton_causal, triton_norms
from torch import Tensor

WIDTHS = ((1536, 12), (192, 3))
DTYPES = (torch.float32, torch.bfloat16)


def check(device: str) -> None:
    """AssertionError where a kernel differs from its twin in float32 by more than the rounding of its output."""
    torch.manual_seed(0)
    for dtype in DTYPES:
        for dim, heads in WIDTHS:
            _norms(dim, dtype, device)
            _rotation(dim, heads, dtype, device)
            _channels(dim, dtype, device)
        for channels in (96, 24):
            _causal(channels, dtype, device)


def _close(found: Tensor, expected: Tensor) -> None:
    """expected: float32. Devices round to bfloat16 (2^-9), the interpreter truncates (2^-7 at most)."""
    half = 2**-8 if found.is_cuda else 2**-7
    bound = 1e-5 if found.dtype is torch.float32 else half
    torch.testing.assert_close(found.float(), expected, rtol=bound, atol=1e-5)


def _norms(dim: int, dtype: torch.dtype, device: str) -> None:
    x, y = (torch.randn(2, 9, dim, device=device).to(dtype)[:, 4:] * 3 + 1 for _ in range(2))
    y = y.repeat(1, 1, 2)[..., :dim]
    shift, scale, gate = (torch.randn(1, dim, device=device) for _ in range(3))
    normed = torch.full_like(x, torch.nan)
    triton_norms.norm(x, normed, shift, scale, plus_one=True)
    _close(normed, norms.modulated_norm_reference(x.float(), shift, scale))
    for chosen in (gate, None):
        z = x.clone()
        triton_norms.residual(z, y, chosen)
        _close(z, norms.gated_residual_reference(x.float(), y.float(), chosen))
        z, normed = x.clone(), torch.full_like(x, torch.nan)
        triton_norms.residual_norm(z, y, chosen, normed, shift, scale, plus_one=True)
        _close(z, norms.gated_residual_reference(x.float(), y.float(), chosen))
        _close(normed, norms.modulated_norm_reference(z.float(), shift, scale))
        z, normed = x.clone(), torch.full_like(x, torch.nan)
        weight, bias = scale[0].to(dtype), shift[0].to(dtype)
        triton_norms.residual_norm(z, y, chosen, normed, bias, weight, plus_one=False)
        _close(normed, F.layer_norm(z.float(), (dim,), weight.float(), bias.float(), norms.EPS))


def _rotation(dim: int, heads: int, dtype: torch.dtype, device: str) -> None:
    tokens, head_dim = 6, dim // heads
    x = torch.randn(2, tokens, 3 * dim, device=device).to(dtype)[..., dim : 2 * dim]
    weight = torch.randn(dim, device=device).to(dtype)
    angles = torch.randn(tokens, head_dim // 2, device=device)
    arena = torch.full((2, 2 * tokens, heads, head_dim), torch.nan, dtype=dtype, device=device)
    slot = arena[:, tokens:]
    triton_norms.norm_rotate(x, weight, angles.cos(), angles.sin(), slot)
    _close(slot, norms.norm_rotate_reference(x.float(), weight, angles.cos(), angles.sin(), heads))
    assert arena[:, :tokens].isnan().all(), "written beside the slot"
    by_head = torch.full((2, heads, tokens, head_dim), torch.nan, dtype=dtype, device=device)
    triton_norms.norm_rotate(x, weight, angles.cos(), angles.sin(), by_head.transpose(1, 2))
    assert torch.equal(by_head.transpose(1, 2), slot)


def _channels(dim: int, dtype: torch.dtype, device: str) -> None:
    x, gamma = torch.randn(3, 4, dim, device=device).to(dtype), torch.randn(dim, device=device).to(dtype)
    x[0, 0] = 0
    expected = norms.channel_norm_silu_reference(x.float(), gamma)
    triton_norms.channel_norm_silu(x, gamma)
    _close(x, expected)


def _causal(channels: int, dtype: torch.dtype, device: str) -> None:
    """Strided in every way that the VAE's layers have: a band of rows, channels of a wider tensor."""
    bias, gamma = (torch.randn(channels, device=device).to(dtype) for _ in range(2))
    for frames in (1, 4):
        x = torch.randn(2, frames, 3, 50, channels + 8, device=device).to(dtype)[..., :channels]
        x[0, 0, 0, 0] = 0
        memory = torch.randn(2, 2, 5, 50, channels, device=device).to(dtype)
        for given, gain in ((None, gamma), (bias, gamma), (None, None)):
            expected, past = (torch.zeros(2, n, 3, 50, channels, device=device) for n in (2 + frames, 2))
            past.copy_(memory[:, :, 1:4])
            causal.fill_causal_reference(
                expected, x.float(), past, *(t if t is None else t.float() for t in (given, gain))
            )
            full, kept = (
                torch.full((2, 2 + frames, 5, 50, channels), torch.nan, dtype=dtype, device=device),
                memory.clone(),
            )
            triton_causal.fill(full[:, :, 1:4], x, kept[:, :, 1:4], given, gain)
            _close(full[:, :, 1:4], expected)
            _close(kept[:, :, 1:4], past)
            assert torch.equal(kept[:, :, 4:], memory[:, :, 4:]), "written beside the band"
        z, y = torch.randn(2, frames, 3, 50, channels, device=device).to(dtype), x
        expected = z.float() + (y.float() + bias.float())
        triton_causal.add(z, y, bias)
        _close(z, expected)


if __name__ == "__main__":
    check("cpu")
