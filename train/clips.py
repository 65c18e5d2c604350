"""Clips of the truth, synthesised in batches on the device: moving photographs, some with a moving patch."""

from __future__ import annotations

import torch
from torch import Tensor

from train.config import DataConfig
from train.motion import Paths, Random, random_paths, sample
from train.photos import PhotoPool


class ClipSynthesizer:
    """An endless source of clips. The same generator state gives the same clips."""

    def __init__(self, pool: PhotoPool, config: DataConfig, frames: int, generator: torch.Generator) -> None:
        self._pool = pool
        self._config = config
        self._frames = frames
        self._random = Random(generator)

    def batch(self) -> Tensor:
        """Clips of the truth, float32 (batch, 3, frames, crop, crop) in [0, 1]."""
        config, random = self._config, self._random
        patched = round(config.patch * config.batch)
        layers, paths = self._layers(config.batch + patched)
        clips = layers[: config.batch]
        if patched:
            # The last clips get a patch that is a clip of its own; its window travels with its content.
            window = _window(paths.shift[config.batch :], config.crop, random)[:, None]
            clips[-patched:] = torch.lerp(clips[-patched:], layers[config.batch :], window)
        gamma = torch.exp(random.uniform(-0.25, 0.25, config.batch, 1, 1, 1, 1))
        # Shuffled, so that what is done to the first clips later is independent of patches.
        order = torch.randperm(config.batch, generator=random.generator, device=clips.device)
        return clips.clamp(0, 1).pow(gamma)[order]

    def _layers(self, clips: int) -> tuple[Tensor, Paths]:
        config, random = self._config, self._random
        index = self._pool.draw(clips, config.half_size, random.generator)
        paths = random_paths(clips, self._frames, config.max_speed, config.static, random)
        pictures = self._pool.pixels[index].float().div_(255)
        return sample(pictures, self._pool.sizes[index], paths, config.crop, random), paths


def _window(shift: Tensor, crop: int, random: Random) -> Tensor:
    """Where a patch covers the clip: (clips, frames, crop, crop) in [0, 1], from ellipses to near rectangles."""
    clips = len(shift)
    axis = torch.arange(crop, device=shift.device) - (crop - 1) / 2
    centre = shift + random.uniform(-0.3 * crop, 0.3 * crop, clips, 1, 2)
    x = axis[None, None, None, :] - centre[..., 0, None, None]
    y = axis[None, None, :, None] - centre[..., 1, None, None]
    radius = random.uniform(0.1 * crop, 0.4 * crop, clips, 2, 1, 1)
    power = 2 + 6 * random.uniform(0, 1, clips, 1, 1, 1) ** 2
    norm = (x / radius[:, :1]).abs() ** power + (y / radius[:, 1:]).abs() ** power
    distance = (1 - norm ** (1 / power)) * radius.mean(1, keepdim=True)  # about pixels to the edge
    return (distance + 0.5).clamp(0, 1)
