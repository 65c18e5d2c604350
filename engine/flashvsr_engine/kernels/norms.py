"""The elementwise parts of a DiT block, each in one pass over memory on CUDA and in plain torch elsewhere.

Each public function picks by the device of its tensors. The `*_reference` twins define the results; the kernels
compute in float32 as the twins do and differ from them by one rounding of the output's type at most, as said at each.
On `meta` tensors the outputs of the CUDA path are allocated and nothing runs.
"""

from __future__ import annotations

from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.fused import fused

EPS = 1e-6


def modulated_norm(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LayerNorm(x) * (1 + scale) + shift; x (batch, tokens, dim), shift and scale float32 (1, dim)."""
    if not fused(x):
        return modulated_norm_reference(x, shift, scale)
    normed = torch.empty_like(x)
    if not x.is_meta:
        _kernels().norm(x, normed, shift, scale, plus_one=True)
    return normed


def modulated_norm_reference(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """The twin of `modulated_norm`."""
    normed = F.layer_norm(x.float(), x.shape[-1:], eps=EPS)
    return torch.addcmul(shift, normed, 1 + scale).to(x.dtype)


def gated_residual(x: Tensor, y: Tensor, gate: Tensor | None = None) -> Tensor:
    """x + gate * y, the gate float32 (1, dim) or none; may be written over x, so use what is returned.

    The twin rounds gate * y before it adds; the kernel rounds the sum alone.
    """
    if not fused(x):
        return gated_residual_reference(x, y, gate)
    if not x.is_meta:
        _kernels().residual(x, y, gate)
    return x


def gated_residual_reference(x: Tensor, y: Tensor, gate: Tensor | None = None) -> Tensor:
    """The twin of `gated_residual`; x stays as it is."""
    return x + (y if gate is None else (gate * y).to(x.dtype))


def gated_residual_norm(
    x: Tensor, y: Tensor, gate: Tensor | None, shift: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """(z, modulated_norm(z, shift, scale)) with z = gated_residual(x, y, gate), which may be written over x."""
    if not fused(x):
        z = gated_residual_reference(x, y, gate)
        return z, modulated_norm_reference(z, shift, scale)
    normed = torch.empty_like(x)
    if not x.is_meta:
        _kernels().residual_norm(x, y, gate, normed, shift, scale, plus_one=True)
    return x, normed


def gated_residual_affine_norm(
    x: Tensor, y: Tensor, gate: Tensor | None, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """(z, LayerNorm(z) * weight + bias) with z = gated_residual(x, y, gate), which may be written over x."""
    if not fused(x):
        z = gated_residual_reference(x, y, gate)
        return z, F.layer_norm(z, z.shape[-1:], weight, bias, EPS)
    normed = torch.empty_like(x)
    if not x.is_meta:
        _kernels().residual_norm(x, y, gate, normed, bias, weight, plus_one=False)
    return x, normed


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """x / rms(x) * weight over the last axis, in float32; on CUDA torch's own kernel, which rounds once, at its end."""
    if fused(x):
        return F.rms_norm(x, x.shape[-1:], weight.to(x.dtype), EPS)
    return F.rms_norm(x.float(), x.shape[-1:], weight.float(), EPS).to(x.dtype)


def norm_rotate(x: Tensor, weight: Tensor, cos: Tensor, sin: Tensor, heads: int, out: Tensor | None = None) -> Tensor:
    """RMSNorm over the whole width, then the channel pairs (2i, 2i + 1) of each head turned by the tokens' angles.

    x: (batch, tokens, dim), of any strides but 1 over the width. weight: (dim,). cos, sin: float32 ([batch,] tokens,
    head_dim / 2). out: (batch, tokens, heads, head_dim), of any strides but 1 over head_dim, such as a slot of the
    KV window; made when not given. Returns it. The twin rounds the norm before it rotates; the kernel does not.
    """
    if not fused(x):
        return norm_rotate_reference(x, weight, cos, sin, heads, out)
    if out is None:
        out = x.new_empty(*x.shape[:2], heads, x.shape[2] // heads)
    if not x.is_meta:
        _kernels().norm_rotate(x, weight, cos, sin, out)
    return out


def norm_rotate_reference(
    x: Tensor, weight: Tensor, cos: Tensor, sin: Tensor, heads: int, out: Tensor | None = None
) -> Tensor:
    """The twin of `norm_rotate`."""
    normed = F.rms_norm(x.float(), x.shape[-1:], weight.float(), EPS).to(x.dtype)
    turned = rotate(normed.unflatten(-1, (heads, -1)), cos, sin)
    return turned if out is None else out.copy_(turned)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the channel pairs (2i, 2i + 1) of x (batch, tokens, heads, head_dim), in float32."""
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.flatten(-2).to(x.dtype)


def channel_norm_silu(x: Tensor, gamma: Tensor) -> Tensor:
    """SiLU(x / ||x||_2 * sqrt(C) * gamma) over the last axis, the channels; may be written over x."""
    if not fused(x):
        return channel_norm_silu_reference(x, gamma)
    if not x.is_meta:
        _kernels().channel_norm_silu(x, gamma)
    return x


def channel_norm_silu_reference(x: Tensor, gamma: Tensor) -> Tensor:
    """The twin of `channel_norm_silu`, which rounds before the SiLU; x stays as it is."""
    scale = x.shape[-1] ** 0.5
    return F.silu((F.normalize(x.float(), dim=-1) * (scale * gamma.float())).to(x.dtype))


def _kernels() -> ModuleType:
    """Imported where needed, since machines without CUDA lack Triton."""
    from flashvsr_engine.kernels import triton_norms

    return triton_norms
