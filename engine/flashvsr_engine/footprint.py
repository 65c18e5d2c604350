"""How much memory a stream takes: what its halves take, put together."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from flashvsr_engine.geometry import Geometry
from flashvsr_engine.phases import FirstHalf, SecondHalf
from flashvsr_engine.schedule import FIRST_CHUNK

CPU_OVERHEAD = 1.2
"""On a CPU a process takes this much more than the tensors of its work: oneDNN's buffers and holes in the heap."""
CUDA_LIBRARY_BYTES = 33 << 20
"""What cuBLAS takes of torch's memory for good, on the first product of a stream of work (32 MiB on Hopper)."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes. state: held on the device between chunks; host: held in host memory; peak: in use at most, all in all."""

    state: int
    host: int
    peak: int


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes of a network on a device. dit: the DiT's, which may leave it; rest: those that do not."""

    dit: int
    rest: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.dit + self.rest


def footprint(
    geometry: Geometry, weights: Weights, unload_dit: bool, first: FirstHalf, second: SecondHalf, device: torch.device
) -> Footprint:
    """Of a stream whose halves take so much. unload_dit: whether the DiT's weights leave after each first half."""
    waiting = FIRST_CHUNK * geometry.height * geometry.width * 3
    library = CUDA_LIBRARY_BYTES if device.type == "cuda" else 0
    beside = 0 if unload_dit else weights.dit
    works = []
    for chunk in range(2):
        resting = second.remembered if chunk else 0
        works.append(first.enlarging[chunk] + resting + (beside if chunk else 0))  # they come when they are first used
        works.append(first.denoising[chunk] + resting + weights.dit)
        works.append(first.joining[chunk] + resting + beside)
        works.append(second.decoding[chunk] + first.left + beside)
    state = first.kv + waiting
    return Footprint(
        state=state + first.remembered + second.remembered,
        host=first.kv_host,
        peak=weights.rest + state + library + max(works),
    )
