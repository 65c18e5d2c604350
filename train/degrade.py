"""What happens to a clip before the network sees it: bicubic reduction, in some clips damage, 8-bit levels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from train.jpeg import Jpeg
from train.motion import Random

BLUR_TAPS = 13
JPEG_BLOCK = 16


class Bicubic:
    """Resizing of square frames with the filter of PIL's BICUBIC (a = -0.5, antialiased), as two matrix products.

    The same numbers as `F.interpolate`'s, whose CUDA kernel has too few threads for many small frames.
    """

    def __init__(self, side: int, to: int, device: torch.device) -> None:
        identity = torch.eye(side)[None, None]
        self._matrix = F.interpolate(identity, (to, side), mode="bicubic", antialias=True)[0, 0].to(device)

    def __call__(self, x: Tensor) -> Tensor:
        """(..., side, side) in [0, 1] -> (..., to, to) in [0, 1]."""
        return (self._matrix @ x @ self._matrix.T).clamp(0, 1)


class Degradation:
    """Clips of the truth -> what a network gets: reduced to 8-bit levels, some damaged on the way."""

    def __init__(self, crop: int, scale: int, random: Random) -> None:
        device = random.generator.device
        self._random = random
        self._reduce = Bicubic(crop, round(crop / scale), device)
        self._jpeg = Jpeg(device)

    def __call__(self, clips: Tensor, damaged: int) -> Tensor:
        """(batch, 3, frames, H, W) in [0, 1] -> (batch, 3, frames, H / scale, W / scale) in [0, 1].

        The first `damaged` clips get blur, noise and JPEG, each of its own strength.
        """
        random, parts = self._random, []
        if damaged:
            first = self._reduce(_blur(clips[:damaged], random))
            strength = random.uniform(0, 1, damaged, 1, 1, 1, 1) ** 2 * (8 / 255)
            first = (first + strength * random.normal(*first.shape)).clamp(0, 1)
            parts.append(self._compressed(first, random.uniform(55, 98, damaged)))
        parts.append(self._reduce(clips[damaged:]))
        return torch.cat(parts).mul(255).round() / 255

    def _compressed(self, clips: Tensor, quality: Tensor) -> Tensor:
        """Sides that are no multiples of the blocks are compressed with their border repeated, as encoders do."""
        side = clips.shape[-1]
        more = -side % JPEG_BLOCK
        padded = F.pad(clips, (0, more, 0, more, 0, 0), mode="replicate")
        return self._jpeg(padded, quality)[..., :side, :side]


def _blur(clips: Tensor, random: Random) -> Tensor:
    """Gaussian blur of each clip with its own sigma, 0.3 to 2 pixels of the truth."""
    sigma = random.uniform(0.3, 2, len(clips), 1)
    reach = BLUR_TAPS // 2
    taps = torch.exp(-((torch.arange(-reach, reach + 1, device=clips.device) / sigma) ** 2) / 2)
    taps = (taps / taps.sum(1, keepdim=True))[:, None, :]
    planes = clips.flatten(1, 2).transpose(0, 1)  # (3 * frames, clips, H, W): a kernel for each clip
    for kernel, pad in ((taps[..., None], (0, 0, reach, reach)), (taps[:, :, None], (reach, reach, 0, 0))):
        planes = F.conv2d(F.pad(planes, pad, mode="replicate"), kernel, groups=len(clips))
    return planes.transpose(0, 1).reshape(clips.shape)
