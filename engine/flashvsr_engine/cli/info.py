"""What `weights info` tells of a folder, from shapes alone: no values are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from torch import nn

from flashvsr_engine.config import EngineConfig, Mode, Precision
from flashvsr_engine.engine import FlashVSREngine
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.model import ProjectorVersion
from flashvsr_engine.weights import Network, WeightsFolder, load_network, open_folder

EXAMPLE = Geometry(480, 270, 4)


def describe(weights: str, version: ProjectorVersion | None = None) -> Iterator[str]:
    """Lines on version, files, parameters, sizes of the network and memory. WeightsError as of `load_network`."""
    folder = open_folder(weights, version)
    network = load_network(weights, version, shapes_only=True)
    yield f"{folder.path}: {folder.manifest.name}, version {folder.version}, since {folder.reason}"
    if folder.manifest.source:
        yield f"from {folder.manifest.source}"
    yield from _files(folder, network)
    yield from _sizes(network)
    yield from _memory(folder, weights, version)


def _files(folder: WeightsFolder, network: Network) -> Iterator[str]:
    modules: dict[str, nn.Module] = {
        "dit": network.dit,
        "projector": network.projector,
        "tcdecoder": cast("nn.Module", network.tcdecoder),
    }
    for part, path in folder.paths.items():
        tensors = folder.tensors(part, shapes_only=True).values()
        kinds = ", ".join(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors}))
        values = sum(tensor.numel() for tensor in tensors)
        what = "parameters" if part in modules else "values"
        yield f"{part:<10} {path}: {path.stat().st_size} bytes, {values} {what} in {kinds}"


def _sizes(network: Network) -> Iterator[str]:
    assert network.tcdecoder is not None
    dit, decoder = network.dit.sizes, network.tcdecoder.sizes
    yield (
        f"network    DiT of {dit.blocks} blocks, width {dit.dim}, {dit.heads} heads of {dit.head_dim}, "
        f"feed-forward {dit.ffn}; prompt of {network.prompt.shape[1]} x {dit.text}; "
        f"decoder channels {', '.join(map(str, decoder.channels))}"
    )


def _memory(folder: WeightsFolder, weights: str, version: ProjectorVersion | None) -> Iterator[str]:
    """What one stream of the example's size takes on a CPU, in each mode that the folder has the decoder for."""
    modes: list[Mode] = ["tiny", "tiny-long", *(["full"] if "vae" in folder.paths else [])]  # type: ignore[list-item]
    precisions: tuple[Precision, ...] = ("bf16", "fp32")
    for precision in precisions:
        for mode in modes:
            network = load_network(weights, version, shapes_only=True, full=mode == "full")
            config = EngineConfig(mode=mode, precision=precision, device="cpu", memory_limit=None)
            plan = FlashVSREngine.of(config, network).plan(EXAMPLE.width, EXAMPLE.height)
            yield (
                f"memory     {mode}, {precision}, {EXAMPLE.width}x{EXAMPLE.height} x{EXAMPLE.scale}: "
                f"state {plan.state_bytes / 1e6:.0f} MB, peak about {plan.peak_bytes / 1e6:.0f} MB, weights included"
            )
