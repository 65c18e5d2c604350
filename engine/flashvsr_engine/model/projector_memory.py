"""What the LQ projector keeps of a stream from one chunk to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ProjectorMemory:
    """What a stream keeps between chunks: the last two input frames of each convolution (empty for version 1.0).

    Both (batch, 2, rows, columns, channels).
    """

    conv1: Tensor | None = None
    conv2: Tensor | None = None

    def tensors(self) -> list[Tensor]:
        """What is held."""
        return [t for t in (self.conv1, self.conv2) if t is not None]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(t.nbytes for t in self.tensors())

    def part(self, start: int, stop: int) -> ProjectorMemory:
        """That of some of the batch's streams or tiles."""
        return ProjectorMemory(*(t[start:stop] for t in self.tensors()))

    def like(self) -> ProjectorMemory:
        """Another of the same shapes, whatever its values."""
        return ProjectorMemory(*(torch.empty_like(t) for t in self.tensors()))

    @classmethod
    def joined(cls, parts: Sequence[ProjectorMemory]) -> ProjectorMemory:
        """That of a batch made of parts."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(torch.cat(tensors) for tensors in zip(*(part.tensors() for part in parts), strict=True)))
