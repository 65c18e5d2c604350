"""What stays the same over a stream, and how its frames are cut into tiles."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from flashvsr_engine.config import ColorFix
from flashvsr_engine.frames import Output
from flashvsr_engine.geometry import LATENT_PIXELS, Geometry
from flashvsr_engine.kernels import SparseAttention
from flashvsr_engine.model import Conditioning
from flashvsr_engine.noise import NoiseSource
from flashvsr_engine.residency import Residency
from flashvsr_engine.steps import Steps
from flashvsr_engine.tiling import TileGrid
from flashvsr_engine.weights import Network


class TileBatch:
    """How many tiles run at once. It is lowered, and stays so, when the device has no memory for as many."""

    def __init__(self, size: int, adaptive: bool) -> None:
        self.size = size
        self._adaptive = adaptive

    def lower(self) -> bool:
        """Halve it; False when that is not possible or not wanted."""
        if not self._adaptive or self.size == 1:
            return False
        self.size //= 2
        torch.cuda.empty_cache()
        return True


@dataclass(frozen=True, slots=True)
class Stream:
    """See the module's docstring."""

    geometry: Geometry
    network: Network
    residency: Residency
    conditioning: Conditioning
    attention: SparseAttention
    noise: NoiseSource
    color_fix: ColorFix
    output: Output
    steps: Steps
    tiles: TileGrid
    batch: TileBatch
    dtype: torch.dtype
    device: torch.device

    def tensors(self) -> list[Tensor]:
        """What the network and its conditioning consist of."""
        weights = [parameter for part in self.network.parts() for parameter in part.parameters()]
        return [*weights, *self.conditioning.tensors(), self.network.prompt]

    def cut(self, x: Tensor, start: int, stop: int, stride: int = 1) -> Tensor:
        """Tiles from `start` to `stop` of x (1, channels, frames, H / stride, W / stride), as a batch."""
        height, width = self.tiles.tile_height // stride, self.tiles.tile_width // stride
        places = [(row // stride, column // stride) for row, column in self.tiles.origins[start:stop]]
        return torch.cat([x[..., row : row + height, column : column + width] for row, column in places])

    def blend(self, into: Tensor, made: Tensor, start: int) -> None:
        """Add tiles' latents, by their weights, to those of the frame: (1, 16, latents, H/8, W/8), float32."""
        weights = self.tiles.weights.to(made.device)
        for i, latents in enumerate(made, start):
            row, column = (place // LATENT_PIXELS for place in self.tiles.origins[i])
            height, width = weights.shape[1:]
            into[0, ..., row : row + height, column : column + width] += latents * weights[i]
