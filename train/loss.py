"""The loss of a clip, and of bicubic interpolation for comparison."""

from __future__ import annotations

from torch import Tensor

from train.config import LossConfig


def clip_loss(frames: Tensor, truth: Tensor, config: LossConfig) -> Tensor:
    """Charbonnier + temporal * L1 of the differences of successive frames; a scalar.

    Both (batch, frames, 3, H, W) in [-1, 1]; the loss is in units of [0, 1].
    """
    error = (frames.float() - truth.float()) / 2
    charbonnier = (error.square() + config.epsilon**2).sqrt().mean()
    return charbonnier + config.temporal * (error[:, 1:] - error[:, :-1]).abs().mean()
