"""The Triton kernels against their twins. Run by test_triton_attention.py in Triton's interpreter, on any machine."""

from __future__ import annotations

import pytest
import torch
from flashvsr_engine.kernels import block_lists, triton_attention, triton_int8, triton_lists, triton_selection
from flashvsr_engine.kernels.triton_attention import Tiling

from tests.unit.engine.attention_cases import joined, plain_attention, random_mask, random_qkv

TOLERANCE = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}


@pytest.mark.parametrize("block_kv", [128, 64])
@pytest.mark.parametrize("head_dim", [128, 64])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("tiles", [Tiling(128, 128, 4, 1), Tiling(64, 32, 4, 1)])
def test_attention_is_the_definition(block_kv: int, head_dim: int, dtype: torch.dtype, tiles: Tiling) -> None:
    q, k, v = random_qkv(2, 2, 2 * 128, 3 * 128, head_dim, dtype)
    mask = random_mask(2, 2, 2, 3 * 128 // block_kv, 0.5)
    out = triton_attention.attend(q, k, v, triton_lists.block_lists(mask), block_kv, tiles)
    exact = plain_attention(q, k, v, mask, block_kv)
    torch.testing.assert_close(out.float(), exact, rtol=0, atol=TOLERANCE[dtype])
    assert not out[-1, -1, -128:].any()
    assert joined(out)


@pytest.mark.parametrize("block_kv", [128, 64])
@pytest.mark.parametrize("head_dim", [128, 64])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_eight_bit_products_stay_near(block_kv: int, head_dim: int, dtype: torch.dtype) -> None:
    """Keys have a large mean, as real ones do: without its removal the error is five times the bound."""
    q, k, v = random_qkv(2, 2, 2 * 128, 3 * 128, head_dim, dtype)
    k += 8 * torch.randn(head_dim, dtype=dtype)
    mask = random_mask(2, 2, 2, 3 * 128 // block_kv, 0.5)
    mean = k.float().mean(2)
    lists = triton_lists.block_lists(mask)
    out = triton_int8.attend(q, k, v, lists, block_kv, mean, Tiling(64, 64, 4, 1)).float()
    exact = plain_attention(q, k, v, mask, block_kv)
    assert (out - exact).norm() < 0.02 * exact.norm()
    assert not out[-1, -1, -128:].any()


@pytest.mark.parametrize("kept", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("columns", [7, 264])
def test_lists_are_the_twins(kept: float, columns: int) -> None:
    mask = torch.rand(2, 3, 5, columns) < kept
    for found, expected in zip(triton_lists.block_lists(mask), block_lists.block_lists(mask), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize("block", [128, 64])
def test_means_are_the_twins(block: int) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        _, k, _ = random_qkv(2, 3, 128, 3 * 128, 64, dtype)
        expected = k.float().unflatten(2, (-1, block)).mean(3)
        torch.testing.assert_close(triton_selection.block_means(k, block), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("length", [50, 5000, 40000])
def test_nth_largest_is_exact(length: int) -> None:
    torch.manual_seed(length)
    x = torch.randn(3, length).mul(4).softmax(-1)
    x[1, : length // 2] = 0  # masked pairs
    x[2] = x[2, 0]  # all alike
    ordered = x.sort(dim=-1, descending=True).values
    for n in (1, 2, length // 3, length - 1, length):
        assert torch.equal(triton_selection.nth_largest(x, n), ordered[:, n - 1 : n])
