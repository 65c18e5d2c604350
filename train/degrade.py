"""What happens to a clip before the network sees it: bicubic reduction, in some clips damage, 8-bit levels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from train.jpeg import Jpeg
from train.motion import Random

BLUR_TAPS = 13


def reduce(clips: Tensor, scale: int) -> Tensor:
    """(batch, 3, frames, H, W) in [0, 1] -> (batch, 3, frames, H / scale, W / scale), PIL's bicubic; not rounded."""
    small = F.interpolate(_frames(clips), scale_factor=1 / scale, mode="bicubic", antialias=True)
    return _clips(small, clips).clamp(0, 1)


def enlarge(small: Tensor, scale: int) -> Tensor:
    """The network's input: (batch, 3, frames, h, w) in [0, 1] -> (..., h * scale, w * scale) in [-1, 1], bicubic."""
    lq = F.interpolate(_frames(small), scale_factor=float(scale), mode="bicubic", antialias=True)
    return _clips(lq, small).clamp(0, 1) * 2 - 1


class Degradation:
    """Clips of the truth -> what a network gets: reduced to 8-bit levels, some damaged on the way."""

    def __init__(self, scale: int, random: Random) -> None:
        self._scale = scale
        self._random = random
        self._jpeg = Jpeg(random.generator.device)

    def __call__(self, clips: Tensor, damaged: int) -> Tensor:
        """(batch, 3, frames, H, W) in [0, 1] -> (batch, 3, frames, H / scale, W / scale) in [0, 1].

        The first `damaged` clips get blur, noise and JPEG, each of its own strength.
        """
        random, parts = self._random, []
        if damaged:
            first = reduce(_blur(clips[:damaged], random), self._scale)
            strength = random.uniform(0, 1, damaged, 1, 1, 1, 1) ** 2 * (8 / 255)
            first = (first + strength * random.normal(*first.shape)).clamp(0, 1)
            parts.append(self._jpeg(first, random.uniform(55, 98, damaged)))
        parts.append(reduce(clips[damaged:], self._scale))
        return torch.cat(parts).mul(255).round() / 255


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


def _frames(clips: Tensor) -> Tensor:
    return clips.transpose(1, 2).flatten(0, 1)


def _clips(frames: Tensor, like: Tensor) -> Tensor:
    return frames.unflatten(0, (like.shape[0], like.shape[2])).transpose(1, 2)
