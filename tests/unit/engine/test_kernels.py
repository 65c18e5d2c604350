from __future__ import annotations

import pytest
import torch
from flashvsr_engine.kernels import BlockGrid, SparseAttention, block_sparse, block_sparse_attention, select_blocks


def plain_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor, block_kv: int
) -> torch.Tensor:
    """The definition, in float64, pair by pair of tokens."""
    pairs = mask.repeat_interleave(128, 2).repeat_interleave(block_kv, 3)
    scores = q.double() @ k.double().transpose(2, 3) / q.shape[-1] ** 0.5
    weights = scores.masked_fill(~pairs, float("-inf")).softmax(-1).nan_to_num(0)
    out: torch.Tensor = (weights @ v.double()).float()
    return out


def random_qkv(batch: int, heads: int, queries: int, keys: int) -> list[torch.Tensor]:
    torch.manual_seed(queries)
    return [torch.randn(batch, heads, n, 16) for n in (queries, keys, keys)]


@pytest.mark.parametrize("block_kv", [128, 64])
@pytest.mark.parametrize("kept", [0.0, 0.3, 1.0])
def test_block_sparse_attention_is_the_definition(block_kv: int, kept: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_sparse, "GATHER_BYTES", 1 << 15)  # many parts
    q, k, v = random_qkv(2, 3, 4 * 128, 6 * 128)
    mask = torch.rand(2, 3, 4, 6 * 128 // block_kv) < kept
    mask[1, 2, 3] = False  # a block of queries without keys
    out = block_sparse_attention(q, k, v, mask, block_kv)
    torch.testing.assert_close(out, plain_attention(q, k, v, mask, block_kv), rtol=0, atol=2e-6)


@pytest.mark.parametrize("block_kv", [128, 64])
def test_selection_by_definition(block_kv: int) -> None:
    rows, columns, topk = 3, 4, 20
    n, per = rows * columns, 128 // block_kv
    q, k, _ = random_qkv(1, 2, 2 * n * 128, 3 * n * 128)
    grid = BlockGrid(rows, columns, topk, local_range=3, block_kv=block_kv)
    mask = select_blocks(q, k, grid, grid.local_mask(q.device))
    q_mean = q.view(1, 2, 2 * n, 128, 16).mean(3)
    k_mean = k.view(1, 2, 3 * n * per, block_kv, 16).mean(3)
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


def test_at_most_all_but_one_pair() -> None:
    q, k, _ = random_qkv(1, 1, 4 * 128, 8 * 128)
    grid = BlockGrid(2, 2, topk=10**6, local_range=11, block_kv=128)
    assert int(select_blocks(q, k, grid, grid.local_mask(q.device)).sum()) == 4 * 8 - 1


def test_mask_and_budget_are_per_sample_and_head() -> None:
    q, k, v = random_qkv(3, 2, 6 * 128, 12 * 128)
    attention = SparseAttention(BlockGrid(2, 3, topk=15, local_range=3, block_kv=128), q.device)
    together = attention(q, k, v)
    for i in range(3):
        torch.testing.assert_close(
            together[i : i + 1], attention(*(t[i : i + 1] for t in (q, k, v))), rtol=0, atol=1e-6
        )
