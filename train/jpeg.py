"""JPEG's loss (ITU-T T.81) without its entropy coding: 4:2:0, blocks of 8 x 8, the tables of its annex K."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
) + ((99,) * 8,) * 4
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


class Jpeg:
    """The tables on one device, so that compressing waits for no transfer."""

    def __init__(self, device: torch.device) -> None:
        self._to_ycc = torch.tensor(_TO_YCC, device=device)
        self._to_rgb = torch.linalg.inv(self._to_ycc)
        self._luma, self._chroma = (torch.tensor(table, device=device) for table in (_LUMA, _CHROMA))
        frequency = torch.arange(8, device=device)[:, None]
        self._basis = torch.cos(math.pi / 8 * (torch.arange(8, device=device) + 0.5) * frequency) / 2
        self._basis[0] /= math.sqrt(2)

    def __call__(self, clips: Tensor, quality: Tensor) -> Tensor:
        """Compress every frame and decode it again.

        clips: (batch, 3, frames, h, w) in [0, 1], h and w multiples of 16. quality: (batch,) in [50, 100), libjpeg's.
        """
        ycc = torch.einsum("ij,bjfhw->ibfhw", self._to_ycc, clips * 255 - 127.5)
        percent = (200 - 2 * quality)[:, None, None, None, None, None]
        luma = self._quantise(ycc[0], self._luma, percent)
        chroma = [self._halved(plane, percent) for plane in ycc[1:]]
        decoded = torch.einsum("ij,jbfhw->bifhw", self._to_rgb, torch.stack((luma, *chroma)))
        return ((decoded + 127.5) / 255).clamp(0, 1)

    def _halved(self, plane: Tensor, percent: Tensor) -> Tensor:
        small = self._quantise(F.avg_pool2d(plane, 2), self._chroma, percent)
        return F.interpolate(small, scale_factor=2.0, mode="bilinear")

    def _quantise(self, plane: Tensor, table: Tensor, percent: Tensor) -> Tensor:
        """plane: (batch, frames, h, w); percent: (batch, 1, 1, 1, 1, 1), by which the table is scaled."""
        steps = ((table * percent + 50) / 100).floor().clamp(1, 255)
        blocks = plane.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)  # (b, f, rows, columns, 8, 8)
        coefficients = (self._basis @ blocks @ self._basis.T / steps).round() * steps
        return (self._basis.T @ coefficients @ self._basis).transpose(3, 4).flatten(4, 5).flatten(2, 3)
