"""Everything that a stream changes, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from flashvsr_engine.model import DecoderMemory, ProjectorMemory


class KVWindow:
    """Keys and values of one DiT block: a ring of the last `slices` slices with room for the one being computed.

    The ring is allocated once and written in place; attention does not care about the order of keys, so nothing is
    ever shifted. Slots hold whole slices; slice i of the stream lies in slot i mod (slices + 1), but for a window
    that is shorter than the first chunk, which starts from that chunk's last slices.
    """

    def __init__(
        self,
        slices: int,
        slice_tokens: int,
        heads: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device,
        batch: int = 1,
    ) -> None:
        self.slices = slices
        self.slice_tokens = slice_tokens
        self.written = 0
        shape = (2, batch, heads, (slices + 1) * slice_tokens, head_dim)
        self._arena = torch.zeros(shape, dtype=dtype, device=device)

    @property
    def capacity(self) -> int:
        """Slots of the ring."""
        return self.slices + 1

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._arena.nbytes

    @property
    def order(self) -> list[int]:
        """Numbers of the slices, counted by `written`, that lie in the filled slots."""
        newest = self.written - 1
        return [newest - (newest - slot) % self.capacity for slot in range(min(self.written, self.capacity))]

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Take the slices of a chunk (batch, heads, tokens, head_dim); return what its queries may see.

        Later chunks are one slice. The first chunk's slices see one another whole, even where the window is shorter
        than they are; then only its last slices are kept.
        """
        slices = keys.shape[2] // self.slice_tokens
        if slices > self.capacity:
            kept = self.slices * self.slice_tokens
            self._write(keys[:, :, -kept:], values[:, :, -kept:], self.slices)
            return keys, values
        self._write(keys, values, slices)
        filled = min(self.written, self.capacity) * self.slice_tokens
        return self._arena[0, :, :, :filled], self._arena[1, :, :, :filled]

    def _write(self, keys: Tensor, values: Tensor, slices: int) -> None:
        start = self.written % self.capacity * self.slice_tokens
        end = start + slices * self.slice_tokens
        assert end <= self._arena.shape[3], "a chunk never wraps around the ring"
        self._arena[0, :, :, start:end] = keys
        self._arena[1, :, :, start:end] = values
        self.written += slices


@dataclass(slots=True)
class StreamState:
    """The whole state of one stream.

    pending: input frames not yet taken by a chunk, uint8 (T, h, w, 3). last_frame: the newest input frame (1, h, w,
    3), which fills the last chunk. lq_tail: the upscaled frames that the next chunk's decoder needs again, float32
    (1, 3, 4, H, W). chunks: how many are done.
    """

    windows: list[KVWindow]
    pending: Tensor
    last_frame: Tensor
    projector: ProjectorMemory = field(default_factory=ProjectorMemory)
    decoder: DecoderMemory | None = None
    lq_tail: Tensor | None = None
    chunks: int = 0
    frames_in: int = 0
    frames_out: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors held, on whatever device."""
        tensors = [self.pending, self.last_frame, *(self.decoder or ())]
        if self.lq_tail is not None:
            tensors.append(self.lq_tail)
        return self.projector.nbytes + sum(t.nbytes for t in tensors) + sum(w.nbytes for w in self.windows)
