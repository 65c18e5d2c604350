"""A random network of the published structure, small enough to run in milliseconds."""

from __future__ import annotations

from pathlib import Path

import torch
from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_engine.model import DiT, DiTSizes, LQProjector, ProjectorSizes, TCDecoder, TCDecoderSizes
from flashvsr_engine.weights import Manifest
from safetensors.torch import save_file

FILES = {
    "dit": "diffusion_pytorch_model_streaming_dmd.safetensors",
    "projector": "LQ_proj_in.ckpt",
    "tcdecoder": "TCDecoder.ckpt",
    "prompt": "posi_prompt.pth",
}


def write_weights(folder: Path, version: str | None = "1.1") -> Path:
    """A weights folder of random values, scaled so that every part shows in the output."""
    torch.manual_seed(7)
    modules = {
        "projector": LQProjector(ProjectorSizes(8, 8, 64), "1.1"),
        "dit": DiT(DiTSizes(dim=64, blocks=2, heads=1, ffn=64, text=16, freq=16)),
        "tcdecoder": TCDecoder(TCDecoderSizes((8, 8, 8, 8))),
    }
    for name, module in modules.items():
        state = {key: value.detach().contiguous() for key, value in module.state_dict().items()}
        if name == "dit":
            save_file(state, folder / FILES[name])
        else:
            torch.save(state, folder / FILES[name])
    torch.save(torch.randn(1, 4, 16), folder / FILES["prompt"])
    if version:
        Manifest(version=version, head_dim=64, name="random").write(folder)  # type: ignore[arg-type]
    return folder


def load(folder: Path, **options: object) -> FlashVSREngine:
    """An engine on a folder, on the CPU in float32."""
    defaults: dict[str, object] = {"device": "cpu", "precision": "fp32", "scale": 2}
    return FlashVSREngine.load(EngineConfig(weights=folder, **(defaults | options)))  # type: ignore[arg-type]
