"""Noise that depends on nothing but its place: (seed, latent, row, column) of the whole padded frame.

Tiles, segments, resumed runs and any cut of a stream into chunks therefore see the same noise. The generator is
Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), which turns a 128-bit counter
and a 64-bit key into four independent 32-bit words; Box-Muller makes them normal.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from flashvsr_engine.errors import ConfigError

CHANNELS = 16
_WORDS = 4
_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10

Words = tuple[Tensor, Tensor, Tensor, Tensor]


class NoiseSource(Protocol):
    """Where a stream's noise comes from."""

    def latents(self, first: Any, count: int, rows: int, columns: int, device: torch.device) -> Tensor:
        """Noise of latents first .. first + count - 1: float32 (1, 16, count, rows, columns).

        first: an int; for a `CounterNoise` also a tensor.
        """


class CounterNoise:
    """Standard normal noise from a counter; see the module's docstring.

    first_latent: place in the film of the stream's latent 0, so that a stream that begins in mid-film sees the noise
    that the whole film would see there.
    """

    def __init__(self, seed: int, first_latent: int = 0) -> None:
        self.seed = seed
        self.first_latent = first_latent
        self._key = (seed & _MASK, seed >> 32 & _MASK)

    def latents(self, first: int | Tensor, count: int, rows: int, columns: int, device: torch.device) -> Tensor:
        """See `NoiseSource`; any place in the film below 2^32, known to the device alone where `first` is a tensor."""
        groups = CHANNELS // _WORDS
        sizes = (groups, count, rows, columns)
        axes = [torch.arange(size, dtype=torch.int64, device=device) for size in sizes]
        group, latent, row, column = torch.meshgrid(*axes, indexing="ij")
        words = philox((latent + first + self.first_latent, row, column, group), self._key)
        pairs = (_normal_pair(words[0], words[1]), _normal_pair(words[2], words[3]))
        normal = torch.stack([*pairs[0], *pairs[1]], dim=1)  # (groups, 4, count, rows, columns)
        return normal.flatten(0, 1)[None]


class FixedNoise:
    """Given noise (1, 16, latents, H/8, W/8), used as it is; for parity with recorded results."""

    def __init__(self, noise: Tensor) -> None:
        if noise.ndim != 5 or noise.shape[:2] != (1, CHANNELS):
            raise ConfigError(f"noise has shape {tuple(noise.shape)}; allowed: (1, {CHANNELS}, latents, H/8, W/8).")
        if not torch.isfinite(noise).all():
            raise ConfigError("noise holds values that are not finite; allowed: finite values only.")
        self.noise = noise

    def latents(self, first: int, count: int, rows: int, columns: int, device: torch.device) -> Tensor:
        """See `NoiseSource`. Past its end the noise repeats its last latent, so that a stream can be finished."""
        if self.noise.shape[3:] != (rows, columns):
            size = tuple(self.noise.shape[3:])
            raise ConfigError(f"noise has {size} rows and columns; this stream's latents have {(rows, columns)}.")
        index = torch.arange(first, first + count).clamp_(max=self.noise.shape[2] - 1)
        return self.noise[:, :, index.to(self.noise.device)].to(device=device, dtype=torch.float32)


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """Philox4x32-10 of int64 tensors that hold 32-bit words; the products' overflow wraps, which is what is wanted."""
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = x0 * _MULTIPLIERS[0], x2 * _MULTIPLIERS[1]
        high0, high1 = (p0 >> 32) & _MASK, (p1 >> 32) & _MASK
        x0, x1, x2, x3 = high1 ^ x1 ^ k0, p1 & _MASK, high0 ^ x3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return x0, x1, x2, x3


def _normal_pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Box-Muller: two words -> two standard normal float32. The radius' uniform lies in (0, 1], so its log is finite.

    Computed in float64, for a 32-bit uniform near 1 has no neighbour in float32; then rounded.
    """
    radius = (-2.0 * ((a.double() + 1) * 2.0**-32).log()).sqrt()
    angle = b.double() * (2.0**-32 * 2 * torch.pi)
    return (radius * angle.cos()).float(), (radius * angle.sin()).float()
