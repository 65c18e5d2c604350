"""Smooth random camera paths and the sampling of photographs along them, all on the device, in batches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MARGIN = 2
"""Pixels at a picture's border that are not visited, since bicubic sampling reaches that far."""


@dataclass(frozen=True, slots=True)
class Random:
    """Uniform and normal numbers from one generator."""

    generator: torch.Generator

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Float32 in [low, high)."""
        return torch.rand(shape, generator=self.generator, device=self.generator.device) * (high - low) + low

    def normal(self, *shape: int) -> Tensor:
        """Standard normal float32."""
        return torch.randn(shape, generator=self.generator, device=self.generator.device)


@dataclass(frozen=True, slots=True)
class Paths:
    """Per clip and frame: shift (clips, frames, 2) of the content in output pixels; turn, angle in radians, and zoom,
    picture pixels to an output pixel, both (clips, frames)."""

    shift: Tensor
    turn: Tensor
    zoom: Tensor


def random_paths(clips: int, frames: int, max_speed: float, static: float, random: Random) -> Paths:
    """Paths of at most `max_speed` output pixels a frame, slow ones more often; a share of `static` stands still."""
    time = torch.arange(frames, device=random.generator.device) - frames / 2
    moving = (random.uniform(0, 1, clips, 1) >= static).float()
    speed = max_speed * random.uniform(0, 1, clips, 1) ** 1.5 * moving
    heading = random.uniform(0, 2 * math.pi, clips, 1) + random.normal(clips, 1) * 0.02 * time
    sway = 2 * math.pi * time / random.uniform(16, 80, clips, 1) + random.uniform(0, 2 * math.pi, clips, 1)
    pace = speed * (0.75 + 0.25 * sway.sin())
    shift = torch.stack((pace * heading.cos(), pace * heading.sin()), dim=-1).cumsum(1)
    quarter = torch.randint(4, (clips, 1), generator=random.generator, device=time.device) * (math.pi / 2)
    rate = random.normal(clips, 1).clamp(-2, 2) * moving
    turn = quarter + random.normal(clips, 1) * 0.1 + rate * 0.004 * time
    rate = random.normal(clips, 1).clamp(-2, 2) * moving
    zoom = random.uniform(0.7, 1.1, clips, 1) * torch.exp(rate * 0.003 * time)
    return Paths(shift - shift.mean(1, keepdim=True), turn, zoom)


def sample(pictures: Tensor, sizes: Tensor, paths: Paths, crop: int, random: Random) -> Tensor:
    """Cut clips from pictures.

    pictures: float (clips, 3, S, S); sizes: (clips, 2), width and height of each. Borders are reflected.
    Returns (clips, 3, frames, crop, crop), bicubic, in the pictures' units and a little beyond their range.
    """
    clips, frames = paths.turn.shape
    where = _coordinates(sizes, paths, crop, random)
    span = (sizes - 1 - 2 * MARGIN)[:, None, None, None]
    where = MARGIN + span - ((where - MARGIN).remainder(2 * span) - span).abs()
    grid = where.view(clips, frames * crop, crop, 2) * (2 / (pictures.shape[-1] - 1)) - 1
    cut = F.grid_sample(pictures, grid, mode="bicubic", align_corners=True)
    return cut.view(clips, 3, frames, crop, crop)


def _coordinates(sizes: Tensor, paths: Paths, crop: int, random: Random) -> Tensor:
    """Picture coordinates of every output pixel, (clips, frames, crop, crop, 2), before reflection."""
    clips = len(sizes)
    axis = torch.arange(crop, device=sizes.device) - (crop - 1) / 2
    x = axis[None, None, None, :] - paths.shift[..., 0, None, None]
    y = axis[None, None, :, None] - paths.shift[..., 1, None, None]
    mirror = (random.uniform(0, 1, clips, 1, 1, 1) < 0.5) * 2.0 - 1
    cos, sin = ((f(paths.turn) * paths.zoom)[..., None, None] for f in (torch.cos, torch.sin))
    centre = (random.uniform(0, 1, clips, 2) * sizes)[:, None, None, None]
    return torch.stack((mirror * (cos * x - sin * y), sin * x + cos * y), dim=-1) + centre
