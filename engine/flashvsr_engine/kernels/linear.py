"""Linear layers with what follows them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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
