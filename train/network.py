"""The engine's modules put together for training: whole clips at once, through the same code as in serving."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from flashvsr_engine.model import (
    DiT,
    DiTSizes,
    LQProjector,
    ProjectorMemory,
    ProjectorSizes,
    Rotation,
    TCDecoder,
    TCDecoderSizes,
    rotation,
)
from flashvsr_engine.model.windows import WINDOW_COLUMNS, WINDOW_ROWS, WINDOW_TOKENS
from flashvsr_engine.weights import Network as WeightsNetwork
from torch import Tensor, nn

from train.config import ModelConfig

CHUNK_LATENTS = (6, 2)
LATENT_STRIDE = 8
TOKEN_STRIDE = 16
TRIMMED = 3
LOOK_AHEAD = 4


class Network(nn.Module):
    """Projector, DiT and decoder; the decoder's output is added to the upscaled input."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden1, hidden2 = config.projector
        self.config = config
        self.projector = LQProjector(ProjectorSizes(hidden1, hidden2, config.dim), "1.1")
        self.dit = DiT(
            DiTSizes(config.dim, config.blocks, config.heads, config.ffn, text=config.text, freq=config.freq)
        )
        self.decoder = TCDecoder(TCDecoderSizes(config.decoder), config.slope)
        self.prompt: Tensor
        self.register_buffer("prompt", torch.randn(1, config.prompt_tokens, config.text))
        self._initialise()

    def forward(self, lq: Tensor, noise: Tensor) -> Tensor:
        """Super-resolve clips from their beginning.

        lq: (batch, 3, 25 + 8 n, H, W) in [-1, 1]; noise (batch, 16, 6 + 2 n, H/8, W/8), H and W multiples of 128.
        Returns frames (batch, 21 + 8 n, 3, H, W), in about [-1, 1].
        """
        guide = lq[:, :, :-LOOK_AHEAD]
        before = guide[:, :, :1].expand(-1, -1, TRIMMED, -1, -1)
        latents = self.latents(lq, noise)
        decoded, _ = self.decoder(latents, torch.cat((before, guide), dim=2), None)
        return guide.transpose(1, 2) + 2 * decoded[:, TRIMMED:]

    def latents(self, lq: Tensor, noise: Tensor) -> Tensor:
        """The clips' latents, of the noise's shape, chunk by chunk."""
        with torch.autocast(lq.device.type, enabled=False):
            conditioning = self.dit.condition(self.prompt)
        (tokens,), _ = self.projector(lq, ProjectorMemory())
        windows = [_GrowingWindow() for _ in self.dit.blocks]
        grid = (lq.shape[-2] // TOKEN_STRIDE, lq.shape[-1] // TOKEN_STRIDE)
        attend = _OwnPlace(grid[0] // WINDOW_ROWS * (grid[1] // WINDOW_COLUMNS))
        made, first = [], 0
        for count in _chunks(noise.shape[2]):
            positions = self._positions(first, count, grid, lq.device)
            part = tokens[:, first * grid[0] * grid[1] : (first + count) * grid[0] * grid[1]]
            x = noise[:, :, first : first + count]
            made.append(x - self.dit(x, [part], conditioning, positions, windows, attend))
            first += count
        return torch.cat(made, dim=2)

    def load_weights(self, weights: WeightsNetwork) -> None:
        """Take over the weights of a folder. RuntimeError where its sizes are others."""
        assert weights.tcdecoder is not None
        for own, loaded in (
            (self.projector, weights.projector),
            (self.dit, weights.dit),
            (self.decoder, weights.tcdecoder),
        ):
            own.load_state_dict(loaded.state_dict())
        self.prompt.copy_(weights.prompt)

    def _positions(self, first: int, count: int, grid: tuple[int, int], device: torch.device) -> Rotation:
        return rotation(self.dit.sizes.head_dim, first, count, *grid, device)

    def _initialise(self) -> None:
        """Variance that neither grows nor dies through the decoder; gates of the DiT open; a first residual of 0.

        From a random residual, training first unlearns it and the features with it; from 0 it learns at once.
        """
        slope = self.config.slope
        for name, module in self.decoder.named_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=slope if module.kernel_size == (3, 3) else 1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
                if name.endswith("conv.4"):
                    _scale(module, 0.3)
        _scale(self.decoder.decoder["26"], 0)
        for block in self.dit.blocks:
            assert isinstance(block.modulation, Tensor)
            nn.init.normal_(block.modulation, std=self.config.dim**-0.5)
            block.modulation.data[:, (2, 5)] += 1


class _GrowingWindow:
    """A KV window that keeps everything and can be differentiated; enough for clips of up to five slices."""

    def __init__(self) -> None:
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []

    def open(self, like: Tensor) -> tuple[Tensor, Tensor]:
        self._keys.append(torch.empty_like(like))
        self._values.append(torch.empty_like(like))
        return self._keys[-1], self._values[-1]

    def close(self) -> tuple[Tensor, Tensor, None]:
        keys, values = (torch.cat(slices, dim=1).transpose(1, 2) for slices in (self._keys, self._values))
        return keys, values, None


class _OwnPlace:
    """Attention with local range 1: a block sees its own place of all slices, and nothing of the other places."""

    def __init__(self, places: int) -> None:
        self._places = places

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, k_means: Tensor | None) -> Tensor:
        q, k, v = (rearrange(x, "b h (s n t) d -> (b n) h (s t) d", n=self._places, t=WINDOW_TOKENS) for x in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v)
        return rearrange(y, "(b n) h (s t) d -> b h (s n t) d", n=self._places, t=WINDOW_TOKENS)

    def cross(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)


def _scale(module: nn.Module, by: float) -> None:
    assert isinstance(module.weight, Tensor)
    module.weight.data.mul_(by)


def _chunks(latents: int) -> list[int]:
    first, later = CHUNK_LATENTS
    return [first] + [later] * ((latents - first) // later)
