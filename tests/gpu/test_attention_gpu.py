"""Attention, selection and CUDA graphs on a CUDA device."""

from __future__ import annotations

import pytest
import torch
from flashvsr_engine.kernels import BlockGrid, SparseAttention, availability, block_sparse_attention
from flashvsr_engine.kernels.backends import Backend
from flashvsr_engine.kernels.block_lists import block_lists
from torch import Tensor

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

DEVICE = torch.device("cuda", 0)
BOUND = {"triton": 4e-3, "flex": 4e-3, "triton-int8": 2e-2}


def make(backend: Backend, block_kv: int, dtype: torch.dtype, head_dim: int = 128) -> SparseAttention:
    reasons = {one.name: one.reason for one in availability(DEVICE, dtype, head_dim)["sparse"]}
    if reasons[backend]:
        pytest.skip(str(reasons[backend]))
    grid = BlockGrid(3, 4, topk=100, local_range=5, block_kv=block_kv)
    return SparseAttention(grid, DEVICE, backend, dtype, head_dim)


def tensors(dtype: torch.dtype, head_dim: int, slices: int = 1) -> list[Tensor]:
    sizes = (slices * 12 * 128, 4 * 12 * 128)
    q, k, v = (torch.randn(2, n, 3, head_dim, device=DEVICE).to(dtype) for n in (sizes[0], sizes[1], sizes[1]))
    return [x.transpose(1, 2) for x in (q, k, v)]


@pytest.mark.parametrize("backend", BOUND)
@pytest.mark.parametrize("block_kv", [128, 64])
@pytest.mark.parametrize("head_dim", [128, 64])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_backends_are_the_reference(backend: Backend, block_kv: int, head_dim: int, dtype: torch.dtype) -> None:
    attention = make(backend, block_kv, dtype, head_dim)
    for slices in (3, 1):
        q, k, v = tensors(dtype, head_dim, slices)
        means = attention.means(k)
        exact = block_sparse_attention(q.float(), k.float(), v.float(), attention.select(q, means), block_kv)
        out = attention(q, k, v, means)
        assert (out.float() - exact).norm() < BOUND[backend] * exact.norm()
        assert out.transpose(1, 2).is_contiguous()


def test_float32_is_exact() -> None:
    attention = make("triton", 128, torch.float32)
    q, k, v = tensors(torch.float32, 128)
    means = attention.means(k)
    exact = block_sparse_attention(q, k, v, attention.select(q, means), 128)
    torch.testing.assert_close(attention(q, k, v, means), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("block_kv", [128, 64])
def test_selection_and_lists_are_the_cpus(block_kv: int) -> None:
    attention = make("triton", block_kv, torch.bfloat16)
    on_cpu = SparseAttention(attention.grid, torch.device("cpu"), "torch")
    q, k, _ = tensors(torch.bfloat16, 128)
    mask = attention.select(q, attention.means(k))
    expected = on_cpu.select(q.cpu(), on_cpu.means(k.cpu()))
    assert (mask.cpu() != expected).float().mean() < 1e-3  # sums in another order
    for found, twin in zip(block_lists(mask), block_lists(mask.cpu()), strict=True):
        assert torch.equal(found.cpu(), twin)


def test_a_graph_replays_with_another_mask() -> None:
    attention = make("triton", 128, torch.bfloat16)
    q, k, v = tensors(torch.bfloat16, 128)
    attention(q, k, v, attention.means(k))
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = attention(q, k, v, attention.means(k))
    for held, other in zip((q, k, v), tensors(torch.bfloat16, 128), strict=True):
        held.copy_(other)
    graph.replay()
    assert torch.equal(out, attention(q, k, v, attention.means(k)))
