"""A network of the published sizes with random weights: as fast as the published one, and nothing to download."""

from __future__ import annotations

import torch
from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_engine.model import (
    DiT,
    DiTSizes,
    LQProjector,
    ProjectorSizes,
    ProjectorVersion,
    TCDecoder,
    TCDecoderSizes,
)
from flashvsr_engine.model.vae import VAESizes, WanDecoder
from flashvsr_engine.weights import Manifest, Network
from torch import nn

DIT = DiTSizes(dim=1536, blocks=30, heads=12, ffn=8960, text=4096, freq=256)
PROJECTOR = ProjectorSizes(hidden1=2048, hidden2=3072, dim=1536)
TCDECODER = TCDecoderSizes((512, 256, 128, 128))
VAE = VAESizes((384, 384, 192, 96))
PROMPT_TOKENS = 512
_BRANCH = 0.3
"""Each block adds this share of a unit deviation, so that 30 of them neither explode nor drown the input."""


def network(full: bool, device: torch.device, seed: int, version: ProjectorVersion = "1.1") -> Network:
    """Weights are bfloat16 numbers held as float32, so that engines of either type have the same."""
    torch.manual_seed(seed)
    with torch.device(device), torch.no_grad():
        dit, projector = DiT(DIT), LQProjector(PROJECTOR, version)
        tcdecoder = None if full else TCDecoder(TCDECODER)
        vae = WanDecoder(VAE) if full else None
        for part in (dit, projector, tcdecoder, vae):
            if part is not None:
                _fill(part.eval().requires_grad_(False))
        prompt = torch.randn(1, PROMPT_TOKENS, DIT.text)
    manifest = Manifest(version=version, name="published sizes, random")
    return Network(projector, dit, tcdecoder, vae, prompt, manifest, version)


def on_paper(config: EngineConfig, device: torch.device, dtype: torch.dtype) -> FlashVSREngine:
    """Give an engine without values, as it would be on that device, which need not be here: it can only plan."""
    made, place = network(config.mode == "full", torch.device("meta"), 0), torch.device("meta")
    for part in made.parts():
        part.to(device=place, dtype=dtype)
    made.projector.prepare()
    if made.tcdecoder is not None:
        made.tcdecoder.to(memory_format=torch.channels_last).prepare()
    if made.vae is not None:
        made.vae.prepare()
    return FlashVSREngine(config, made, device, dtype)


def _fill(part: nn.Module) -> None:
    """Deviations that keep those of the input through each layer; gains stay at one, biases at zero."""
    for name, parameter in part.named_parameters():
        if name.endswith("modulation"):
            parameter.normal_(std=_BRANCH)
        elif parameter.ndim >= 2 and not name.endswith("gamma"):
            parameter.normal_(std=(1 / parameter[0].numel()) ** 0.5)
        elif name.endswith("bias"):
            parameter.zero_()
        else:
            parameter.fill_(1)
        parameter.copy_(parameter.bfloat16())
