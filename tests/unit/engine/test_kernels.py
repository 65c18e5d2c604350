from __future__ import annotations

import pytest
import torch
from flashvsr_engine.errors import ConfigError
from flashvsr_engine.kernels import (
    BlockGrid,
    SparseAttention,
    availability,
    backends,
    block_means,
    block_sparse,
    block_sparse_attention,
    dense_attention,
    resolve,
    select_blocks,
)
from flashvsr_engine.kernels.backends import Backend
from flashvsr_engine.kernels.block_lists import block_lists
from flashvsr_engine.kernels.selection import above_largest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.unit.engine.attention_cases import joined, plain_attention, random_mask, random_qkv

CPU = torch.device("cpu")


@pytest.mark.parametrize("block_kv", [128, 64])
@pytest.mark.parametrize("kept", [0.0, 0.3, 1.0])
def test_block_sparse_attention_is_the_definition(block_kv: int, kept: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_sparse, "GATHER_BYTES", 1 << 15)  # many parts
    q, k, v = random_qkv(2, 3, 4 * 128, 6 * 128)
    mask = random_mask(2, 3, 4, 6 * 128 // block_kv, kept)
    out = block_sparse_attention(q, k, v, mask, block_kv)
    torch.testing.assert_close(out, plain_attention(q, k, v, mask, block_kv), rtol=0, atol=2e-6)
    assert joined(out)


def test_all_blocks_kept_is_dense_attention() -> None:
    q, k, v = random_qkv(2, 3, 2 * 128, 3 * 128)
    mask = torch.ones(2, 3, 2, 3, dtype=torch.bool)
    for out in (block_sparse_attention(q, k, v, mask, 128), dense_attention(q, k, v)):
        torch.testing.assert_close(out, plain_attention(q, k, v, mask, 128), rtol=0, atol=2e-6)
        assert joined(out)


def select(q: Tensor, k: Tensor, grid: BlockGrid) -> Tensor:
    return select_blocks(block_means(q, 128), block_means(k, grid.block_kv), grid, grid.local_mask(q.device))


@pytest.mark.parametrize("block_kv", [128, 64])
def test_selection_by_definition(block_kv: int) -> None:
    rows, columns, topk = 3, 4, 20
    n, per = rows * columns, 128 // block_kv
    q, k, _ = random_qkv(1, 2, 2 * n * 128, 3 * n * 128)
    mask = select(q, k, BlockGrid(rows, columns, topk, local_range=3, block_kv=block_kv))
    q_mean = q.unflatten(2, (-1, 128)).mean(3)
    k_mean = k.unflatten(2, (-1, block_kv)).mean(3)
    for head in range(2):
        for query_slice in range(2):
            scores = torch.full((n, 3 * n * per), float("-inf"))
            for a in range(n):
                for b in range(3 * n * per):
                    there = b // per % n
                    if abs(a // columns - there // columns) <= 1 and abs(a % columns - there % columns) <= 1:
                        scores[a, b] = q_mean[0, head, query_slice * n + a] @ k_mean[0, head, b] / 4
            values = scores.softmax(-1)
            threshold = values.flatten().sort(descending=True).values[topk]
            assert torch.equal(mask[0, head, query_slice * n : (query_slice + 1) * n], values > threshold)


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0]), min_size=1, max_size=30), st.integers(0, 40))
def test_above_the_largest_drops_ties(values: list[float], topk: int) -> None:
    threshold = sorted(values, reverse=True)[min(topk, len(values) - 1)]
    assert above_largest(torch.tensor(values), topk).tolist() == [value > threshold for value in values]


def test_at_most_all_but_one_pair() -> None:
    q, k, _ = random_qkv(1, 1, 4 * 128, 8 * 128)
    assert int(select(q, k, BlockGrid(2, 2, topk=10**6, local_range=11, block_kv=128)).sum()) == 4 * 8 - 1


def test_mask_and_budget_are_per_sample_and_head() -> None:
    q, k, v = random_qkv(3, 2, 6 * 128, 12 * 128)
    attention = SparseAttention(BlockGrid(2, 3, topk=15, local_range=3, block_kv=128), CPU, head_dim=16)
    together = attention(q, k, v, attention.means(k))
    for i in range(3):
        q_one, k_one, v_one = (t[i : i + 1] for t in (q, k, v))
        alone = attention(q_one, k_one, v_one, attention.means(k_one))
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-6)


def test_lists_say_what_the_mask_says() -> None:
    mask = random_mask(2, 3, 5, 9, 0.4)
    lists = block_lists(mask)
    for at in ((b, h, n) for b in range(2) for h in range(3) for n in range(5)):
        count = int(lists.counts[at])
        assert lists.indices[at][:count].tolist() == mask[at].nonzero().flatten().tolist()
    ordered = lists.counts.gather(-1, lists.order.long())
    assert torch.equal(ordered, lists.counts.sort(dim=-1, descending=True).values)


@pytest.mark.parametrize("block_kv", [128, 64])
def test_planning_on_meta_tensors(block_kv: int) -> None:
    q, k, v = (t.to("meta") for t in random_qkv(1, 2, 4 * 128, 8 * 128))
    attention = SparseAttention(BlockGrid(2, 2, topk=9, local_range=3, block_kv=block_kv), CPU, head_dim=16)
    out = attention(q, k, v, attention.means(k))
    assert out.is_meta
    assert out.shape == q.shape
    assert joined(out)


def test_flex_is_the_reference() -> None:
    """Two engines of different backends live in one process; a chunk of another length needs no new kernel."""
    reason = next(b.reason for b in availability(CPU, torch.float32, 64)["sparse"] if b.name == "flex")
    if reason:
        pytest.skip(reason)
    grid = BlockGrid(2, 2, topk=9, local_range=3, block_kv=128)
    flex, plain = (SparseAttention(grid, CPU, name, head_dim=64) for name in ("flex", "torch"))
    for slices in (3, 1):
        q, k, v = random_qkv(1, 2, slices * 4 * 128, 3 * 4 * 128, 64)
        means = plain.means(k)
        out = flex(q, k, v, means)
        torch.testing.assert_close(out, plain(q, k, v, means), rtol=0, atol=2e-6)
        assert joined(out)


@pytest.mark.parametrize("backend", ["triton", "triton-int8"])
def test_a_backend_that_is_not_available_says_why(backend: Backend) -> None:
    with pytest.raises(ConfigError, match=rf"'{backend}', which is not available: it needs a cuda device, not cpu;"):
        resolve(backend, CPU, torch.float16, 128)


def test_auto_is_by_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "installed", lambda package: package == "triton")
    cuda = torch.device("cuda", 0)
    for capability, dtype, expected in (
        ((9, 0), torch.bfloat16, "triton"),
        ((9, 0), torch.float32, "torch"),
        ((7, 5), torch.float16, "torch"),
        ((7, 5), torch.bfloat16, "torch"),
    ):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        assert resolve("auto", cuda, dtype, 128) == expected
    with pytest.raises(ConfigError, match=r"in bfloat16 it needs compute capability 8\.0, and the device has 7\.5"):
        resolve("triton", cuda, torch.bfloat16, 128)
    assert resolve("triton", cuda, torch.float16, 128) == "triton"
    assert resolve("auto", CPU, torch.float32, 128) == "torch"
