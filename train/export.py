"""A trained network -> a weights folder in the published layout."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import torch
from flashvsr_engine.weights import Manifest
from safetensors.torch import save_file
from torch import Tensor

from train.network import Network

FILES = {
    "dit": "diffusion_pytorch_model_streaming_dmd.safetensors",
    "projector": "LQ_proj_in.safetensors",
    "tcdecoder": "TCDecoder.safetensors",
    "prompt": "posi_prompt.safetensors",
}
LARGEST_FLOAT16 = 65504.0
LOCAL_RANGE = 1
"""Training clips are one attention window wide, so a block has only ever seen its own place in the past."""


def export(network: Network, folder: Path) -> None:
    """Write a network without parametrisations, in float16. An older folder is replaced when the new one is whole.

    ValueError when a weight is not finite in float16.
    """
    parts = {
        "dit": network.dit.state_dict(),
        "projector": network.projector.state_dict(),
        "tcdecoder": network.decoder.state_dict(),
        "prompt": {"prompt": network.prompt},
    }
    fresh = folder.with_name(folder.name + ".part")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for part, tensors in parts.items():
        save_file({name: _half(name, tensor) for name, tensor in tensors.items()}, fresh / FILES[part])
        (fresh / FILES[part]).chmod(0o644)
    _manifest(network, fresh).write(fresh)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _manifest(network: Network, folder: Path) -> Manifest:
    sizes = network.dit.sizes
    return Manifest(
        version="1.1",
        name="builtin",
        files=FILES,
        sha256={name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES.values()},
        head_dim=sizes.head_dim,
        max_local_range=LOCAL_RANGE,
        residual=True,
        decoder_slope=network.config.slope,
    )


def _half(name: str, tensor: Tensor) -> Tensor:
    largest = tensor.abs().max().item()
    if not largest <= LARGEST_FLOAT16:
        raise ValueError(f"{name} holds {largest:g}, which float16 cannot; the run has diverged.")
    return tensor.detach().to(torch.float16).contiguous()
