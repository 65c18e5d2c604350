"""Linear layers with what follows them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from flashvsr_engine.kernels.fused import fused


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """GELU (tanh) of a linear layer; x (..., width in), weight (width out, width in), bias (width out,).

    On CUDA the GELU is the matrix product's epilogue, before the one rounding of the output; elsewhere, and where a
    gradient is wanted, it is a step of its own.
    """
    if (x.is_cuda or x.is_meta) and not torch.is_grad_enabled():
        rows = torch._addmm_activation(bias, x.flatten(0, -2), weight.t(), use_gelu=True)
        return rows.unflatten(0, x.shape[:-1])
    return linear_gelu_reference(x, weight, bias)


def linear_gelu_reference(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The twin of `linear_gelu`."""
    return F.gelu(F.linear(x, weight, bias), approximate="tanh")


def linear_into(x: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> None:
    """A linear layer of x (batch, tokens, width in), written to out (batch, tokens, heads, head_dim).

    On CUDA the matrix product writes to `out` itself where that is one matrix; else its result is copied there.
    """
    if fused(x) and len(out) == 1 and out[0].is_contiguous():
        if not x.is_meta:
            torch.addmm(bias, x[0], weight.t(), out=out[0].flatten(1))
        return
    out.copy_(F.linear(x, weight, bias).unflatten(-1, out.shape[2:]))
