"""Everything that a stream changes, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from flashvsr_engine.kvcache import KVCache
from flashvsr_engine.model import ProjectorMemory


@dataclass(slots=True)
class StreamState:
    """The whole state of one stream.

    kv: keys and values, by tile. pending: input frames not yet taken by a chunk, uint8 or uint16 (T, h, w, 3).
    last_frame: the newest input frame (1, h, w, 3), which fills the last chunk. projector: its memory, by tile.
    decoder: its memory, whole frames. lq_tail: the upscaled frames that the next chunk's decoder needs again, float32
    (1, 3, 4, H, W). chunks: how many are done.
    """

    kv: KVCache
    pending: Tensor
    last_frame: Tensor
    projector: ProjectorMemory = field(default_factory=ProjectorMemory)
    decoder: tuple[Tensor, ...] | None = None
    lq_tail: Tensor | None = None
    chunks: int = 0
    frames_in: int = 0
    frames_out: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors held, on whatever device."""
        return self.kv.device_bytes + self.kv.host_bytes + sum(t.nbytes for t in self._tensors())

    def on_device(self) -> list[Tensor]:
        """The tensors beside the KV cache that lie where the network is."""
        kept = [*self.projector.tensors(), *(self.decoder or ())]
        return kept if self.lq_tail is None else [*kept, self.lq_tail]

    def _tensors(self) -> list[Tensor]:
        return [self.pending, self.last_frame, *self.on_device()]
