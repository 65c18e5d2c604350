"""How near an engine is to the float32 reference path on the same weights, noise and frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from flashvsr_engine import FlashVSREngine
from flashvsr_engine.kernels import SparseAttention
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Parity:
    """psnr: dB, the range being 2. same_masks_psnr: with the reference's masks. agreement: kept pairs in common."""

    psnr: float
    same_masks_psnr: float
    agreement: float


def parity(engine: FlashVSREngine, reference: FlashVSREngine, frames: np.ndarray[Any, Any]) -> Parity:
    """Over the frames (T, h, w, 3) of whole chunks; the reference is an engine of float32 and plain torch attention."""
    masks: list[Tensor] = []
    with _selecting(record=masks):
        expected = _run(reference, frames)
    own: list[Tensor] = []
    with _selecting(record=own):
        found = _run(engine, frames)
    with _selecting(replay=iter(masks)):
        same = _run(engine, frames)
    both = sum(int((a & b).sum()) for a, b in zip(masks, own, strict=True))
    kept = max(1, sum(int((a | b).sum()) for a, b in zip(masks, own, strict=True)))
    return Parity(_psnr(found, expected), _psnr(same, expected), both / kept)


def _run(engine: FlashVSREngine, frames: np.ndarray[Any, Any]) -> Tensor:
    height, width = frames.shape[1:3]
    with engine.open(width, height, output="float") as session:
        return torch.as_tensor(session.push(frames))


def _psnr(found: Tensor, expected: Tensor) -> float:
    mse = (found - expected).square().mean().item()
    return 10 * math.log10(4 / mse) if mse else math.inf


@contextmanager
def _selecting(record: list[Tensor] | None = None, replay: Iterator[Tensor] | None = None) -> Iterator[None]:
    """Within it masks are kept on the host as they are made, or taken from there in place of being made."""
    select = SparseAttention.select

    def selected(self: SparseAttention, q: Tensor, *rest: Any) -> Tensor:
        if q.is_meta:
            return select(self, q, *rest)
        if replay is not None:
            return next(replay).to(q.device)
        mask = select(self, q, *rest)
        assert record is not None
        record.append(mask.cpu())
        return mask

    with patch.object(SparseAttention, "select", selected):
        yield
