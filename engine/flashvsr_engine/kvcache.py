"""The KV cache: keys and values of the last slices, for every block of the DiT and every tile of a stream.

Each block has a ring of `slices` slices with room for the one being computed. The rings are allocated once and written
in place; attention does not care about the order of keys, so nothing is ever shifted. Slice i of a stream lies in slot
i mod (slices + 1), but for a window that is shorter than the first chunk, which starts from that chunk's last slices.
Until `advance` is called a chunk may be run again: it writes the same slots with the same values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flashvsr_engine.quantize import quantized

QUANTIZED_BITS = 8


@dataclass(frozen=True, slots=True)
class KVSpec:
    """What a cache holds; it can say its bytes before anything is allocated.

    layers: blocks of the DiT. slices: how many of the past are kept. slice_tokens: tokens of one. batch: tiles.
    key_block: keys whose mean stands for them in block selection. bits: 16 stands for the type as it is, 8 for
    integers with a scale for each token and head. on_host: rings lie in (pinned) host memory.
    """

    layers: int
    slices: int
    slice_tokens: int
    heads: int
    head_dim: int
    key_block: int
    dtype: torch.dtype
    batch: int = 1
    bits: int = 16
    on_host: bool = False

    @property
    def capacity(self) -> int:
        """Slots of a ring."""
        return self.slices + 1

    @property
    def slice_blocks(self) -> int:
        """Key blocks of a slice."""
        return self.slice_tokens // self.key_block

    @property
    def quantized(self) -> bool:
        """Whether keys and values are kept as 8-bit integers."""
        return self.bits == QUANTIZED_BITS

    @property
    def staged(self) -> bool:
        """Whether a block's ring has to be brought into a buffer before attention can read it."""
        return self.quantized or self.on_host

    def shape(self, slices: int) -> tuple[int, int, int, int]:
        """Of the keys of `slices` slices: (batch, tokens, heads, head_dim)."""
        return (self.batch, slices * self.slice_tokens, self.heads, self.head_dim)


class KVCache:
    """The rings of a stream. `means` holds the key blocks' means, float32 (batch, heads, blocks, head_dim)."""

    def __init__(self, spec: KVSpec, device: torch.device, host: torch.device) -> None:
        self.spec = spec
        self.device = device
        self.written = 0
        place, pinned = (host, device.type == "cuda") if spec.on_host else (device, False)
        kinds = [(spec.shape(spec.capacity), torch.int8 if spec.quantized else spec.dtype)] * 2
        if spec.quantized:
            kinds += [((*spec.shape(spec.capacity)[:3], 1), torch.float32)] * 2
        self.rings = [
            tuple(torch.zeros(shape, dtype=dtype, device=place, pin_memory=pinned) for shape, dtype in kinds)
            for _ in range(spec.layers)
        ]
        means = (spec.batch, spec.heads, spec.capacity * spec.slice_blocks, spec.head_dim)
        self.means = [torch.zeros(means, device=device) for _ in range(spec.layers)]

    @property
    def device_bytes(self) -> int:
        """Bytes held on the device."""
        means = sum(t.nbytes for t in self.means)
        return means if self.spec.on_host else means + sum(t.nbytes for ring in self.rings for t in ring)

    @property
    def host_bytes(self) -> int:
        """Bytes held in host memory, beside a device."""
        return sum(t.nbytes for ring in self.rings for t in ring) if self.spec.on_host else 0

    @property
    def order(self) -> list[int]:
        """Numbers of the slices, counted by `written`, that lie in the filled slots."""
        newest, capacity = self.written - 1, self.spec.capacity
        return [newest - (newest - slot) % capacity for slot in range(min(self.written, capacity))]

    def tensors(self) -> list[Tensor]:
        """All that is held, in a fixed order."""
        return [tensor for ring in self.rings for tensor in ring] + self.means

    def part(self, start: int, stop: int) -> KVCache:
        """The cache of the tiles from `start` to `stop`, in the same memory; it is not advanced by itself."""
        part = KVCache.__new__(KVCache)
        part.spec = replace(self.spec, batch=stop - start)
        part.device, part.written = self.device, self.written
        part.rings = [tuple(t[start:stop] for t in ring) for ring in self.rings]
        part.means = [t[start:stop] for t in self.means]
        return part

    def advance(self, slices: int) -> None:
        """Count the slices of a chunk that every block has written."""
        self.written += self._kept(slices)

    @property
    def used(self) -> int:
        """Slots in use."""
        return min(self.written, self.spec.capacity)

    def slots(self, slices: int) -> tuple[int, int, int]:
        """For the next `slices` slices: slots from and to which they are written, and slots in use after that.

        Of a first chunk that is longer than the ring only the last `spec.slices` slices are written.
        """
        start = self.written % self.spec.capacity
        stop = start + self._kept(slices)
        assert stop <= self.spec.capacity, "a chunk never wraps around the ring"
        return start, stop, max(self.used, stop)

    def store(self, layer: int, slices: int, keys: Tensor, values: Tensor) -> None:
        """Write keys and values (batch, tokens, heads, head_dim) of the next `slices` slices into a block's ring."""
        here = self._range(slices, self.spec.slice_tokens)
        kept = [t[:, here.start - here.stop :] for t in (keys, values)]
        if self.spec.quantized:
            (k, k_scale), (v, v_scale) = (quantized(t) for t in kept)
            kept = [k, v, k_scale, v_scale]
        for ring, new in zip(self.rings[layer], kept, strict=True):
            ring[:, here].copy_(new, non_blocking=True)

    def store_means(self, layer: int, slices: int, means: Tensor) -> None:
        """Write the means of the key blocks of the next `slices` slices."""
        here = self._range(slices, self.spec.slice_blocks)
        self.means[layer][:, :, here] = means[:, :, here.start - here.stop :]

    def means_seen(self, layer: int, slices: int) -> Tensor:
        """The means of all key blocks that the next `slices` slices see."""
        return self.means[layer][:, :, : self.slots(slices)[2] * self.spec.slice_blocks]

    def _range(self, slices: int, per_slice: int) -> slice:
        start, stop, _ = self.slots(slices)
        return slice(start * per_slice, stop * per_slice)

    def _kept(self, slices: int) -> int:
        return slices if slices <= self.spec.capacity else self.spec.slices
