"""A weights folder -> the modules of the network, strictly: every tensor is used, every parameter is filled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from flashvsr_engine.errors import WeightsError
from flashvsr_engine.model import DiT, LQProjector, ProjectorVersion, TCDecoder
from flashvsr_engine.model.dit import dit_sizes
from flashvsr_engine.model.projector import projector_sizes
from flashvsr_engine.model.tcdecoder import tcdecoder_sizes
from flashvsr_engine.model.vae import WanDecoder, decoding, vae_sizes
from flashvsr_engine.weights.folder import WeightsFolder, open_folder
from flashvsr_engine.weights.manifest import Manifest

M = TypeVar("M", bound=nn.Module)
Shapes = dict[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Network:
    """The modules of a weights folder, in the files' own types, on the CPU; prompt float32 (1, length, text).

    One of tcdecoder and vae is there. version_reason: what told the version, as half a sentence. signature: tells
    weights apart.
    """

    projector: LQProjector
    dit: DiT
    tcdecoder: TCDecoder | None
    vae: WanDecoder | None
    prompt: Tensor
    manifest: Manifest
    version: ProjectorVersion
    version_reason: str = "it was given"
    signature: str = ""

    def parts(self) -> list[nn.Module]:
        """The modules that there are."""
        return [part for part in (self.projector, self.dit, self.tcdecoder, self.vae) if part is not None]


def load_network(
    weights: str | Path, version: ProjectorVersion | None = None, shapes_only: bool = False, full: bool = False
) -> Network:
    """Load "builtin" or a folder. `version` must agree with what the folder tells, and one of them must tell it.

    full: with the Wan VAE's decoder in place of the TCDecoder. shapes_only: modules on the meta device, for questions
    about sizes; no values are read. WeightsError.
    """
    folder = open_folder(weights, version)

    def part(name: str) -> tuple[Path, dict[str, Tensor]]:
        return folder.file(name), folder.tensors(name, shapes_only)

    dit = build_dit(folder, *part("dit"))
    projector = build_projector(folder, *part("projector"))
    tcdecoder = None if full else build_tcdecoder(folder, *part("tcdecoder"))
    vae = build_vae(*part("vae")) if full else None
    prompt = check_prompt(*part("prompt"), text=dit.sizes.text)
    check_projector_width(folder.file("projector"), projector, dit.sizes.dim)
    network = Network(projector, dit, tcdecoder, vae, prompt, folder.manifest, folder.version, folder.reason)
    return network if shapes_only else replace(network, signature=_signature(network))


def build_dit(folder: WeightsFolder, path: Path, tensors: dict[str, Tensor]) -> DiT:
    """The DiT of a file's tensors. WeightsError as of `build`."""
    return build(path, tensors, lambda shapes: DiT(dit_sizes(shapes, folder.manifest.head_dim)))


def build_projector(folder: WeightsFolder, path: Path, tensors: dict[str, Tensor]) -> LQProjector:
    """The projector of a file's tensors, with the folder's rule. WeightsError as of `build`."""
    return build(path, tensors, lambda shapes: LQProjector(projector_sizes(shapes), folder.version))


def build_tcdecoder(folder: WeightsFolder, path: Path, tensors: dict[str, Tensor]) -> TCDecoder:
    """The tiny decoder of a file's tensors. WeightsError as of `build`."""
    return build(path, tensors, lambda shapes: TCDecoder(tcdecoder_sizes(shapes), folder.manifest.decoder_slope))


def build_vae(path: Path, tensors: dict[str, Tensor]) -> WanDecoder:
    """The Wan VAE's decoder of a file's tensors; those of its encoder are known and not needed. As of `build`."""
    return build(path, decoding(tensors), lambda shapes: WanDecoder(vae_sizes(shapes)))


def build(path: Path, tensors: dict[str, Tensor], make: Callable[[Shapes], M]) -> M:
    """Make a module from a file's shapes and fill it with the file's tensors.

    WeightsError that names the file and, tensor by tensor, what is missing, left over or of another shape.
    """
    try:
        with torch.device("meta"):
            module = make({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    except KeyError as error:
        raise WeightsError(f"{path} lacks the tensor {error}; is it a file of another model?") from error
    except (ValueError, IndexError) as error:
        raise WeightsError(f"{path} does not fit the network: {error}.") from error
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    for name, shape in expected.items():
        if name not in tensors:
            raise WeightsError(f"{path} lacks the tensor '{name}' of shape {shape}.")
        found = tuple(tensors[name].shape)
        if found != shape:
            raise WeightsError(f"{path}: tensor '{name}' has shape {found}; expected {shape}.")
        if not _finite(tensors[name]):
            raise WeightsError(f"{path}: tensor '{name}' holds values that are not finite; fetch the file again.")
    unused = sorted(tensors.keys() - expected.keys())
    if unused:
        raise WeightsError(f"{path} has {len(unused)} tensors that the network lacks, the first '{unused[0]}'.")
    module.load_state_dict(tensors, assign=True)
    return module.eval().requires_grad_(False)


def check_prompt(path: Path, tensors: dict[str, Tensor], text: int | None) -> Tensor:
    """The prompt embedding, float32 (1, length, text). WeightsError if it is not one, or not finite.

    text: None takes any width.
    """
    if len(tensors) != 1:
        raise WeightsError(f"{path} holds {', '.join(sorted(tensors)) or 'nothing'}; expected one tensor.")
    prompt = next(iter(tensors.values())).float()
    if prompt.ndim != 3 or prompt.shape[0] != 1 or prompt.shape[2] != (text or prompt.shape[2]):
        raise WeightsError(f"{path}: the prompt has shape {tuple(prompt.shape)}; expected (1, length, {text}).")
    if not _finite(prompt):
        raise WeightsError(f"{path}: the prompt embedding holds values that are not finite; fetch the file again.")
    return prompt


def check_projector_width(path: Path, projector: LQProjector, dim: int) -> None:
    """WeightsError unless the projector's tokens are of the DiT's width."""
    for name, tensor in projector.linear_layers.named_parameters():
        found = tuple(tensor.shape)
        expected = (dim, *found[1:])
        if found != expected:
            raise WeightsError(f"{path}: tensor 'linear_layers.{name}' has shape {found}; expected {expected}.")


def _finite(tensor: Tensor) -> bool:
    """Whether all values are finite; a tensor without values has none that is not."""
    return tensor.is_meta or bool(torch.isfinite(tensor).all())


def _signature(network: Network) -> str:
    """The network's name with a digest of its parts' one-dimensional weights, which are quick to read."""
    digest = hashlib.sha256()
    for part in network.parts():
        for key, parameter in sorted(part.named_parameters()):
            if parameter.ndim == 1:
                digest.update(key.encode() + parameter.detach().float().numpy().tobytes())
    return f"{network.manifest.name} {digest.hexdigest()[:16]}"
