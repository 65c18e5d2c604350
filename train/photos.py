"""Photographs decoded once into one tensor on the device, at full and at half size."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

Picture = npt.NDArray[np.uint8]


class PhotoPool:
    """pixels: uint8 (2N, 3, S, S), each picture in the upper left corner; picture N + i is picture i at half size.

    sizes: float32 (2N, 2), the width and height of each.
    """

    def __init__(self, pictures: Iterable[Picture], device: torch.device) -> None:
        full = list(pictures)
        if not full:
            raise ValueError("there are no photographs; give a folder that holds those of its SOURCES.csv.")
        everything = full + [_half(picture) for picture in full]
        side = max(max(picture.shape[:2]) for picture in full)
        self.count = len(full)
        self.pixels = torch.zeros(len(everything), 3, side, side, dtype=torch.uint8, device=device)
        for canvas, picture in zip(self.pixels, everything, strict=True):
            height, width = picture.shape[:2]
            canvas[:, :height, :width] = torch.from_numpy(picture).permute(2, 0, 1).to(device)
        sizes = [(picture.shape[1], picture.shape[0]) for picture in everything]
        self.sizes = torch.tensor(sizes, dtype=torch.float32, device=device)

    def draw(self, clips: int, half_size: float, generator: torch.Generator) -> Tensor:
        """Indices of pictures, int64 (clips,); this share of them at half size."""
        device = self.pixels.device
        picture = torch.randint(self.count, (clips,), generator=generator, device=device)
        half = torch.rand(clips, generator=generator, device=device) < half_size
        return picture + half * self.count


def read_picture(path: Path) -> Picture:
    """A file as uint8 (height, width, 3), RGB."""
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def _half(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    return np.array(Image.fromarray(picture).resize((width // 2, height // 2), Image.Resampling.BICUBIC))
