from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from flashvsr_engine.kvcache import KVCache, KVSpec
from flashvsr_engine.kvwindow import ChunkWindows
from flashvsr_engine.quantize import dequantize, quantized

CPU = torch.device("cpu")
TOKENS = 256
SPEC = KVSpec(layers=2, slices=3, slice_tokens=TOKENS, heads=2, head_dim=4, key_block=128, dtype=torch.float32, batch=2)
Seen = list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


def run(cache: KVCache, *numbers: int, advance: bool = True) -> Seen:
    """A chunk whose slice i holds the number i as its keys and -i as its values; returns what each block sees."""
    filled = torch.tensor([float(n) for n in numbers]).repeat_interleave(cache.spec.slice_tokens)
    windows, seen = ChunkWindows(cache, len(numbers)), []
    for layer in range(cache.spec.layers):
        window = windows[layer]
        keys, values = window.open(torch.empty(cache.spec.shape(len(numbers))))
        keys.copy_((filled + 100 * layer)[None, :, None, None].expand_as(keys))
        values.copy_(-keys)
        seen.append(tuple(t.clone() for t in window.close()))
    windows.finish()
    if advance:
        cache.advance(len(numbers))
    return seen  # type: ignore[return-value]


def slices_of(seen: Seen, layer: int) -> list[int]:
    """The numbers of the slices that a block saw, of any order; keys, values and means must agree."""
    keys, values, means = seen[layer]
    assert torch.equal(keys, -values)
    torch.testing.assert_close(means, keys.unflatten(2, (-1, 128)).mean(3))
    return sorted(int(n) - 100 * layer for n in keys[0, 0, ::TOKENS, 0].tolist())


@pytest.mark.parametrize("slices", [1, 2, 3, 5])
@pytest.mark.parametrize("on_host", [False, True])
def test_a_window_holds_what_it_says(slices: int, on_host: bool) -> None:
    cache = KVCache(replace(SPEC, slices=slices, on_host=on_host), CPU, CPU)
    seen = run(cache, 0, 1, 2)
    assert slices_of(seen, 0) == slices_of(seen, 1) == [0, 1, 2]
    for newest in range(3, 12):
        seen = run(cache, newest)
        expected = list(range(max(0, newest - slices), newest + 1))
        assert slices_of(seen, 0) == slices_of(seen, 1) == expected
        counted = [slice_ + 3 - min(slices, 3) if slices < 2 else slice_ for slice_ in sorted(cache.order)]
        assert counted == expected


def test_a_chunk_may_be_run_again_until_it_is_counted() -> None:
    cache = KVCache(SPEC, CPU, CPU)
    run(cache, 0, 1, 2)
    for newest in range(3, 9):
        first = run(cache, newest, advance=False)
        again = run(cache, newest)
        assert all(torch.equal(a, b) for x, y in zip(first, again, strict=True) for a, b in zip(x, y, strict=True))


def test_parts_share_the_memory_of_the_whole() -> None:
    whole, alone = KVCache(SPEC, CPU, CPU), KVCache(replace(SPEC, batch=1), CPU, CPU)
    for numbers in ((0, 1, 2), (3,), (4,)):
        for tile in range(2):
            run(whole.part(tile, tile + 1), *numbers)
        whole.advance(len(numbers))
        run(alone, *numbers)
    assert whole.order == alone.order
    for mine, other in zip(whole.tensors(), alone.tensors(), strict=True):
        assert torch.equal(mine, other.expand_as(mine))


def test_integers_are_near() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 50, 3, 64) * torch.rand(2, 50, 3, 1) * 30
    integers, scale = quantized(x)
    back = torch.empty_like(x)
    dequantize(integers, scale, back)
    assert integers.dtype is torch.int8
    assert ((back - x).abs() <= x.abs().amax(-1, keepdim=True) / 254 * 1.0001).all()
    zeros, scale = quantized(torch.zeros(1, 4))
    assert not zeros.any()
    assert scale.isfinite().all()


def test_bytes_are_counted_where_they_lie() -> None:
    plain, quarter = KVCache(SPEC, CPU, CPU), KVCache(replace(SPEC, bits=8), CPU, CPU)
    moved = KVCache(replace(SPEC, on_host=True), CPU, CPU)
    rings = 2 * 2 * 2 * 4 * TOKENS * 2 * 4 * 4  # keys and values, layers, batch, slots, tokens, heads, head_dim, bytes
    means = sum(t.nbytes for t in plain.means)
    assert (plain.device_bytes, plain.host_bytes) == (rings + means, 0)
    assert (moved.device_bytes, moved.host_bytes) == (means, rings)
    assert quarter.device_bytes == rings // 4 + rings // 4 + means  # of heads this small, the scales are as large
