"""What the blocks of the DiT see of a KV cache while one chunk runs.

A ring that lies on the device as it is, is read in place. One that is kept in 8 bits or in host memory is brought into
a buffer first. From host memory the next block's ring is fetched on a second CUDA stream, into the other of two
buffers, while this block computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from flashvsr_engine.kernels import block_means
from flashvsr_engine.kvcache import KVCache
from flashvsr_engine.quantize import dequantize

Buffer = tuple[Tensor, Tensor]
"""Keys and values, (batch, tokens, heads, head_dim) each."""


class ChunkWindows:
    """The windows of all blocks for one chunk of `slices` slices; used block after block, then finished."""

    def __init__(self, cache: KVCache, slices: int) -> None:
        spec = cache.spec
        self.cache = cache
        self.slices = slices
        self.passes_ring = slices > spec.capacity
        staged = spec.staged and not self.passes_ring
        count = (2 if spec.on_host else 1) if staged else 0
        self._buffers = [(self.empty(spec.capacity), self.empty(spec.capacity)) for _ in range(count)]
        beside = spec.on_host and cache.device.type == "cuda"
        self._copies = torch.cuda.Stream(cache.device) if beside else None
        if self._copies:  # what the chunk before stored must have arrived, and the buffers' memory be free
            self._copies.wait_stream(torch.cuda.current_stream(cache.device))
            if self._buffers:
                self._fetch(0)

    def __getitem__(self, layer: int) -> LayerWindow:
        return LayerWindow(self, layer)

    def empty(self, slices: int) -> Tensor:
        """Room for the keys or the values of so many slices."""
        return torch.empty(self.cache.spec.shape(slices), dtype=self.cache.spec.dtype, device=self.cache.device)

    def enter(self, layer: int) -> Buffer:
        """Where the block's window can be read; the next block's is sent for."""
        if not self._buffers:
            keys, values, *_ = self.cache.rings[layer]
            return keys, values
        if self._copies is None:
            self._fetch(layer)
        else:
            current = torch.cuda.current_stream(self.cache.device)
            current.wait_stream(self._copies)
            self._copies.wait_stream(current)  # the block before this one may still be reading the other buffer
            if layer + 1 < self.cache.spec.layers:
                self._fetch(layer + 1)
        return self._buffers[layer % len(self._buffers)]

    def store(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """See `KVCache.store`; to host memory beside the computation."""
        if self._copies:
            self._copies.wait_stream(torch.cuda.current_stream(self.cache.device))
        with self._aside():
            self.cache.store(layer, self.slices, keys, values)

    def finish(self) -> None:
        """Let the device wait until everything is stored: then the buffers may be freed."""
        if self._copies:
            torch.cuda.current_stream(self.cache.device).wait_stream(self._copies)

    def _fetch(self, layer: int) -> None:
        """Fill a buffer with the slots in use; those of the chunk itself are written by the block, later."""
        used = self.cache.used * self.cache.spec.slice_tokens
        ring = [t[:, :used] for t in self.cache.rings[layer]]
        buffer = self._buffers[layer % len(self._buffers)]
        with self._aside():
            for i, into in enumerate(buffer):
                if self.cache.spec.quantized:
                    integers, scale = (t.to(into.device, non_blocking=True) for t in (ring[i], ring[i + 2]))
                    dequantize(integers, scale, out=into[:, :used])
                else:
                    into[:, :used].copy_(ring[i], non_blocking=True)

    def _aside(self) -> AbstractContextManager[object]:
        return torch.cuda.stream(self._copies) if self._copies else nullcontext()


class LayerWindow:
    """The window of one block: `open` says where its keys and values go, `close` what its queries see."""

    def __init__(self, windows: ChunkWindows, layer: int) -> None:
        self._windows = windows
        self._layer = layer

    def open(self, like: Tensor) -> Buffer:
        """Where the chunk's keys and values, each of the shape of `like`, are to be written."""
        windows, cache = self._windows, self._windows.cache
        if windows.passes_ring:  # the first chunk's slices see one another, whatever of them is kept
            self._own = self._seen = (windows.empty(windows.slices), windows.empty(windows.slices))
            return self._own
        keys, values = windows.enter(self._layer)
        start, stop, filled = (slots * cache.spec.slice_tokens for slots in cache.slots(windows.slices))
        self._own = (keys[:, start:stop], values[:, start:stop])
        self._seen = (keys[:, :filled], values[:, :filled])
        return self._own

    def close(self) -> tuple[Tensor, Tensor, Tensor]:
        """Keep what was written; return keys, values (batch, heads, keys, head_dim) and the key blocks' means."""
        windows, cache = self._windows, self._windows.cache
        means = block_means(self._own[0].transpose(1, 2), cache.spec.key_block)
        cache.store_means(self._layer, windows.slices, means)
        if cache.spec.staged or windows.passes_ring:
            windows.store(self._layer, *self._own)
        keys, values = (t.transpose(1, 2) for t in self._seen)
        return keys, values, means if windows.passes_ring else cache.means_seen(self._layer, windows.slices)


class JointWindows:
    """The windows of several streams as a batch, for one chunk of each; all rings are full and lie on the device."""

    def __init__(self, streams: Sequence[ChunkWindows]) -> None:
        self._streams = streams

    def __getitem__(self, layer: int) -> JointLayerWindow:
        return JointLayerWindow([windows[layer] for windows in self._streams])


class JointLayerWindow:
    """The windows of one block, copied side by side: each stream's ring stays where it is."""

    def __init__(self, streams: Sequence[LayerWindow]) -> None:
        self._streams = streams

    def open(self, like: Tensor) -> Buffer:
        """See `LayerWindow`."""
        self._own = (torch.empty_like(like), torch.empty_like(like))
        return self._own

    def close(self) -> tuple[Tensor, Tensor, Tensor]:
        """See `LayerWindow`."""
        seen = []
        for i, window in enumerate(self._streams):
            mine = [t[i : i + 1] for t in self._own]
            for slot, computed in zip(window.open(mine[0]), mine, strict=True):
                slot.copy_(computed)
            seen.append(window.close())
        keys, values, means = zip(*seen, strict=True)
        return _joined(keys), _joined(values), torch.cat(means)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """As a batch, (batch, heads, keys, head_dim), by token in memory as the parts are."""
    return torch.cat([part.transpose(1, 2) for part in parts]).transpose(1, 2)
