"""Reading of golden cases, shared by the tests on the CPU and on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from flashvsr_engine import AttentionConfig, EngineConfig, FixedNoise, FlashVSREngine
from safetensors import safe_open

HERE = Path(__file__).parent
WEIGHTS = HERE / "weights"
NAMES = ("tiny_256x384", "tiny_block64_256x256", "tinylong_color_128x896", "full_128x256")


@dataclass(frozen=True)
class GoldenCase:
    frames: npt.NDArray[np.uint8]
    noise: torch.Tensor
    expected: torch.Tensor
    settings: dict[str, str]

    def config(self, **changes: Any) -> EngineConfig:
        s = self.settings
        attention = AttentionConfig(
            topk_ratio=float(s["topk_ratio"]),
            kv_ratio=float(s["kv_ratio"]),
            local_range=int(s["local_range"]),
            block_kv=int(s["block_kv"]),
        )
        options: dict[str, Any] = {
            "weights": WEIGHTS,
            "mode": s["mode"],
            "version": s["version"],
            "scale": int(s["scale"]),
            "color_fix": s["color_fix"],
            "precision": "fp32",
            "device": "cpu",
            "attention": attention,
        }
        return EngineConfig(**(options | changes))

    def run(self, engine: FlashVSREngine, pushes: list[int]) -> torch.Tensor:
        """The whole stream, cut into pushes of the given sizes, as the expected tensor is sampled."""
        _, height, width, _ = self.frames.shape
        session = engine.open(width, height, noise=FixedNoise(self.noise), output="float")
        made, start = [], 0
        for size in pushes:
            made.append(np.asarray(session.push(self.frames[start : start + size])))
            start += size
        made += [np.asarray(session.push(self.frames[start:])), np.asarray(session.finish())]
        out = torch.from_numpy(np.concatenate(made))
        assert len(out) == len(self.frames)
        return out[: len(self.expected)].permute(0, 3, 1, 2)[:, :, 1::4, 2::4]


def read(name: str) -> GoldenCase:
    with safe_open(HERE / "cases" / f"{name}.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        settings = dict(file.metadata())
    return GoldenCase(tensors["input"].numpy(), tensors["noise"], tensors["expected"].float(), settings)
