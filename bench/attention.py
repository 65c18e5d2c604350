"""Every implementation of block-sparse attention on this GPU: its error against float32, and its speed.

    python -m bench.attention [--only triton] [--json FILE]

Random data of the published sizes (12 heads of 128, four slices of keys); the median of event-timed runs counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from flashvsr_engine.kernels import BlockGrid, block_means, select_blocks
from flashvsr_engine.kernels.block_lists import BlockLists, block_lists
from flashvsr_engine.kernels.block_sparse import block_sparse_attention
from flashvsr_engine.kernels.packages import installed
from torch import Tensor

HEADS, HEAD_DIM, SLICES = 12, 128, 4
PIXELS = 768 * 1280
Attention = Callable[[Tensor, Tensor, Tensor, BlockLists], Tensor]


@dataclass(frozen=True, slots=True)
class Size:
    """A picture's grid of blocks."""

    width: int
    height: int
    block_kv: int

    @property
    def grid(self) -> BlockGrid:
        """As the engine makes it, with the defaults of its configuration."""
        rows, columns = self.height // 128, self.width // 128
        topk = int((rows * columns) ** 2 * 2 * PIXELS / (self.width * self.height)) - 1
        return BlockGrid(rows, columns, topk, local_range=11, block_kv=self.block_kv)

    @property
    def name(self) -> str:
        """Size and keys per block."""
        return f"{self.width}x{self.height}/{self.block_kv}"


SIZES = (Size(1408, 768, 128), Size(1408, 768, 64), Size(512, 512, 128), Size(1920, 1152, 128))


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. decibels: 20 log10 of the reference's norm over the error's."""

    size: str
    name: str
    milliseconds: float
    teraflops: float
    decibels: float


def milliseconds(call: Callable[[], object], runs: int = 10) -> float:
    """Median of event-timed calls, after three."""
    for _ in range(3):
        call()
    times = []
    for _ in range(runs):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return float(statistics.median(times))


def replayed(call: Callable[[], object]) -> float:
    """Milliseconds of a call within a CUDA graph: what it takes without the host's part."""
    call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return milliseconds(graph.replay)


def tensors(tokens: int, keys: int, dtype: torch.dtype, batch: int = 1, heads: int = HEADS) -> list[Tensor]:
    """q, k and v as the model passes them: views (batch, heads, tokens, head_dim) of (batch, tokens, heads, ...)."""
    sizes = (tokens, keys, keys)
    made = [torch.randn(batch, n, heads, HEAD_DIM, device="cuda").to(dtype) for n in sizes]
    return [x.transpose(1, 2) for x in made]


def random_mask(grid: BlockGrid, batch: int = 1, heads: int = HEADS) -> Tensor:
    """As many blocks kept per head as the budget has, anywhere."""
    n, keys = grid.blocks, SLICES * grid.key_blocks
    scores = torch.rand(batch, heads, n * keys, device="cuda")
    topk = min(grid.topk, n * keys - 1)
    return (scores >= scores.topk(topk).values[..., -1:]).view(batch, heads, n, keys)


def implementations(block_kv: int) -> Iterator[tuple[str, Attention]]:
    """Name and call of each that this machine has."""
    capability = torch.cuda.get_device_capability()
    if installed("triton") and capability >= (8, 0):
        from flashvsr_engine.kernels import hopper, triton_attention, triton_int8
        from flashvsr_engine.kernels.triton_attention import Tiling

        def plain(tiles: Tiling) -> Attention:
            return lambda q, k, v, lists: triton_attention.attend(q, k, v, lists, block_kv, tiles)

        def int8(q: Tensor, k: Tensor, v: Tensor, lists: BlockLists) -> Tensor:
            mean = block_means(k, block_kv).mean(2)
            return triton_int8.attend(q, k, v, lists, block_kv, mean, Tiling(128, 128, 8, 2))

        if capability == (9, 0):
            yield "triton hopper", lambda q, k, v, lists: hopper.attend(q, k, v, lists, block_kv)
        for tiles in (Tiling(128, 64, 8, 3), Tiling(128, 128, 8, 2), Tiling(64, 64, 4, 3)):
            yield f"triton {tiles.queries}x{tiles.keys} w{tiles.warps} s{tiles.stages}", plain(tiles)
        yield "int8 with rounding", int8
    yield "flex", _flex(block_kv)


def _flex(block_kv: int) -> Attention:
    from flashvsr_engine.kernels import flex

    compiled = flex.compiled()
    return lambda q, k, v, lists: flex.attend(q, k, v, lists, block_kv, compiled)


def measure(size: Size, only: str, selected: bool = False) -> Iterator[Row]:
    """All implementations at one size in bfloat16."""
    grid = size.grid
    tokens = grid.blocks * 128
    q, k, v = tensors(tokens, SLICES * tokens, torch.bfloat16)
    mask = random_mask(grid)
    if selected:
        mask = select_blocks(block_means(q, 128), block_means(k, grid.block_kv), grid, grid.local_mask(q.device))
    lists = block_lists(mask)
    exact = block_sparse_attention(q.float(), k.float(), v.float(), mask, size.block_kv)
    flops = 4 * 128 * size.block_kv * HEAD_DIM * int(mask.sum())
    for name, attend in implementations(size.block_kv):
        if only in name:
            call = partial(attend, q, k, v, lists)
            out = call().float()
            ms = milliseconds(call)
            decibels = 20 * torch.log10(exact.norm() / (out - exact).norm()).item()
            yield Row(size.name, name, ms, flops / ms / 1e9, decibels)


def selection(size: Size) -> Iterator[Row]:
    """The parts of the selection, eager and within a graph."""
    grid = size.grid
    tokens = grid.blocks * 128
    q, k, _ = tensors(tokens, SLICES * tokens, torch.bfloat16)
    q_means, k_means = block_means(q, 128), block_means(k, grid.block_kv)
    local = grid.local_mask(q.device)
    mask = select_blocks(q_means, k_means, grid, local)
    on_cpu = select_blocks(q_means.cpu(), k_means.cpu(), grid, local.cpu())
    differ = (mask.cpu() != on_cpu).sum().item()
    kept = mask.sum(-1).float()
    print(
        f"{size.name}: kept {mask.float().mean():.3f}, rows {kept.min():.0f} to {kept.max():.0f}; {differ} unlike a CPU"
    )
    twin = block_lists(mask.cpu())
    assert all(torch.equal(a.cpu(), b) for a, b in zip(block_lists(mask), twin, strict=True)), "lists"
    assert torch.allclose(q_means, q.float().unflatten(2, (-1, 128)).mean(3), atol=1e-5), "means"
    parts = {
        "means of q": lambda: block_means(q, 128),
        "select": lambda: select_blocks(q_means, k_means, grid, local),
        "lists": lambda: block_lists(mask),
    }
    for name, call in parts.items():
        yield Row(size.name, f"{name}, eager", milliseconds(call), 0, 0)
        yield Row(size.name, f"{name}, graph", replayed(call), 0, 0)


def small_checks(only: str) -> None:
    """Batches, empty rows, both sizes of heads, odd counts: relative error in bfloat16 and float16."""
    for block_kv in (128, 64):
        for heads_of in (128, 64):
            for dtype in (torch.bfloat16, torch.float16):
                mask = torch.rand(2, 3, 5, 6 * 128 // block_kv, device="cuda") < 0.4
                mask[1, 2, 3] = False
                mask[0, 0, 0] = False
                mask[0, 0, 0, 1] = True
                q, k, v = (x[..., :heads_of] for x in tensors(5 * 128, 6 * 128, dtype, 2, 3))
                lists = block_lists(mask)
                exact = block_sparse_attention(q.float(), k.float(), v.float(), mask, block_kv)
                for name, attend in implementations(block_kv):
                    if only in name:
                        error = (attend(q, k, v, lists).float() - exact).norm() / exact.norm()
                        print(f"check {name} kv{block_kv} d{heads_of} {dtype}: {error:.2e}", flush=True)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="part of the names to measure")
    parser.add_argument("--check", action="store_true", help="small cases only")
    parser.add_argument("--select", action="store_true", help="selection only")
    parser.add_argument("--selected", action="store_true", help="masks as the selection makes them")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    if options.check:
        small_checks(options.only)
        return
    rows: list[Row] = []
    print("| size | what | ms | TFLOP/s | dB |\n| --- | --- | --- | --- | --- |")
    for size in SIZES:
        for row in selection(size) if options.select else measure(size, options.only, options.selected):
            rows.append(row)
            print(
                f"| {row.size} | {row.name} | {row.milliseconds:.3f} | {row.teraflops:.0f} | {row.decibels:.1f} |",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
