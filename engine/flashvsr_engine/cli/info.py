"""What `weights info` tells of a folder, from shapes alone: no values are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from flashvsr_engine.config import AttentionConfig
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.model import ProjectorVersion
from flashvsr_engine.plan import make_plan
from flashvsr_engine.schedule import CHUNK_LATENTS
from flashvsr_engine.weights import Network, WeightsFolder, load_network, open_folder

EXAMPLE = Geometry(480, 270, 4)
DECODE_LATENTS = {"tiny": CHUNK_LATENTS, "tiny-long": 1}
"""Mode -> latents that are decoded at once, as the engine has it."""


def describe(weights: str, version: ProjectorVersion | None = None) -> Iterator[str]:
    """Lines on version, files, parameters, sizes of the network and memory. WeightsError as of `load_network`."""
    folder = open_folder(weights, version)
    network = load_network(weights, version, shapes_only=True)
    yield f"{folder.path}: {folder.manifest.name}, version {folder.version}, since {folder.reason}"
    if folder.manifest.source:
        yield f"from {folder.manifest.source}"
    yield from _files(folder, network)
    yield from _sizes(network)
    yield from _memory(network)


def _files(folder: WeightsFolder, network: Network) -> Iterator[str]:
    modules: dict[str, nn.Module] = {
        "dit": network.dit,
        "projector": network.projector,
        "tcdecoder": network.tcdecoder,
    }
    for part, path in folder.paths.items():
        tensors = folder.tensors(part, shapes_only=True).values()
        kinds = ", ".join(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors}))
        values = sum(tensor.numel() for tensor in tensors)
        what = "parameters" if part in modules else "values"
        yield f"{part:<10} {path}: {path.stat().st_size} bytes, {values} {what} in {kinds}"


def _sizes(network: Network) -> Iterator[str]:
    dit, decoder = network.dit.sizes, network.tcdecoder.sizes
    yield (
        f"network    DiT of {dit.blocks} blocks, width {dit.dim}, {dit.heads} heads of {dit.head_dim}, "
        f"feed-forward {dit.ffn}; prompt of {network.prompt.shape[1]} x {dit.text}; "
        f"decoder channels {', '.join(map(str, decoder.channels))}"
    )


def _memory(network: Network) -> Iterator[str]:
    """Estimates of the plan for one stream of the example's size; the seam for plans that say more."""
    for dtype in (torch.bfloat16, torch.float32):
        cast = replace(
            network,
            dit=network.dit.to(dtype),
            projector=network.projector.to(dtype),
            tcdecoder=network.tcdecoder.to(dtype),
        )
        name = str(dtype).removeprefix("torch.")
        for mode, latents in DECODE_LATENTS.items():
            plan = make_plan(EXAMPLE, cast, AttentionConfig(), dtype, latents)
            yield (
                f"memory     {mode}, {name}, {EXAMPLE.width}x{EXAMPLE.height} x{EXAMPLE.scale}: "
                f"state {plan.state_bytes / 1e6:.0f} MB, peak about {plan.peak_bytes / 1e6:.0f} MB, weights included"
            )
