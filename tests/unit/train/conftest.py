from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from train.config import TrainConfig, read_config
from train.photos import PhotoPool

CONFIG = Path(__file__).parents[3] / "train" / "builtin.toml"


@pytest.fixture
def tiny() -> TrainConfig:
    """The real configuration with the smallest sizes that exercise every part."""
    config = read_config(CONFIG)
    model = replace(
        config.model, projector=(8, 8), dim=64, heads=1, blocks=1, ffn=64, text=8, freq=8, decoder=(12, 8, 8, 8)
    )
    optim = replace(config.optim, warmup_steps=1)
    return replace(config, model=model, data=replace(config.data, batch=2), optim=optim)


@pytest.fixture
def pool() -> PhotoPool:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, size, dtype=np.uint8) for size in ((96, 200, 3), (150, 110, 3))]
    return PhotoPool(pictures, torch.device("cpu"))
