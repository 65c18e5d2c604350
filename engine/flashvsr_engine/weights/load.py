"""A weights folder -> the modules of the network, strictly: every tensor is used, every parameter is filled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from flashvsr_engine.errors import WeightsError
from flashvsr_engine.model import DiT, LQProjector, ProjectorVersion, TCDecoder
from flashvsr_engine.model.dit import dit_sizes
from flashvsr_engine.model.projector import projector_sizes
from flashvsr_engine.model.tcdecoder import tcdecoder_sizes
from flashvsr_engine.weights.files import read_tensors
from flashvsr_engine.weights.manifest import Manifest, read_manifest

M = TypeVar("M", bound=nn.Module)
Shapes = dict[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Network:
    """The modules of a weights folder, in the files' own types, on the CPU; prompt float32 (1, length, text).

    signature: tells weights apart; see `signature`.
    """

    projector: LQProjector
    dit: DiT
    tcdecoder: TCDecoder | None
    vae: Any | None
    prompt: Tensor
    manifest: Manifest
    version: ProjectorVersion
    signature: str

    def parts(self) -> list[nn.Module]:
        """The modules that there are."""
        return [part for part in (self.projector, self.dit, self.tcdecoder, self.vae) if part is not None]


def weights_folder(weights: str | Path) -> Path:
    """The folder of "builtin" or of a path. WeightsError if there is none."""
    folder = Path(str(files("flashvsr_engine") / "weights" / "builtin")) if weights == "builtin" else Path(weights)
    if not folder.is_dir():
        raise WeightsError(f"{folder} is no folder; weights may be 'builtin' or a folder of published files.")
    return folder


def load_network(weights: str | Path, version: ProjectorVersion | None = None, full: bool = False) -> Network:
    """Load a folder. `version` must agree with the manifest where both are given, and one of them must give it."""
    folder = weights_folder(weights)
    manifest = read_manifest(folder)
    rule = _projector_version(folder, manifest, version)

    def part(name: str) -> tuple[Path, dict[str, Tensor]]:
        file = manifest.files[name]
        return folder / file, read_tensors(folder / file, manifest.sha256.get(file))

    dit = build(*part("dit"), lambda shapes: DiT(dit_sizes(shapes, manifest.head_dim)))
    projector = build(*part("projector"), lambda shapes: LQProjector(projector_sizes(shapes), rule))
    tcdecoder = build(*part("tcdecoder"), lambda shapes: TCDecoder(tcdecoder_sizes(shapes), manifest.decoder_slope))
    prompt = _prompt(*part("prompt"), text=dit.sizes.text)
    _check_projector_width(folder / manifest.files["projector"], projector, dit)
    parts = [projector, dit, tcdecoder]
    return Network(projector, dit, tcdecoder, None, prompt, manifest, rule, signature(manifest.name, parts))


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
        if not torch.isfinite(tensors[name]).all():
            raise WeightsError(f"{path}: tensor '{name}' holds values that are not finite; fetch the file again.")
    unused = sorted(tensors.keys() - expected.keys())
    if unused:
        raise WeightsError(f"{path} has {len(unused)} tensors that the network lacks, the first '{unused[0]}'.")
    module.load_state_dict(tensors, assign=True)
    return module.eval().requires_grad_(False)


def _projector_version(folder: Path, manifest: Manifest, asked: ProjectorVersion | None) -> ProjectorVersion:
    if manifest.version and asked and asked != manifest.version:
        raise WeightsError(f"{folder} holds version {manifest.version}; version {asked} was asked for and would ghost.")
    version = asked or manifest.version
    if version is None:
        raise WeightsError(f"{folder} has no manifest.json that says its version; give version '1.0' or '1.1'.")
    return version


def _prompt(path: Path, tensors: dict[str, Tensor], text: int) -> Tensor:
    if set(tensors) != {"prompt"}:
        raise WeightsError(f"{path} holds {', '.join(sorted(tensors)) or 'nothing'}; expected one tensor.")
    prompt = tensors["prompt"].float()
    if prompt.ndim != 3 or prompt.shape[0] != 1 or prompt.shape[2] != text:
        raise WeightsError(f"{path}: the prompt has shape {tuple(prompt.shape)}; expected (1, length, {text}).")
    if not torch.isfinite(prompt).all():
        raise WeightsError(f"{path}: the prompt embedding holds values that are not finite; fetch the file again.")
    return prompt


def _check_projector_width(path: Path, projector: LQProjector, dit: DiT) -> None:
    for name, tensor in projector.linear_layers.named_parameters():
        found = tuple(tensor.shape)
        expected = (dit.sizes.dim, *found[1:])
        if found != expected:
            raise WeightsError(f"{path}: tensor 'linear_layers.{name}' has shape {found}; expected {expected}.")


def signature(name: str, parts: Sequence[nn.Module]) -> str:
    """A network's name with a digest of its parts' one-dimensional weights, which are quick to read."""
    digest = hashlib.sha256()
    for part in parts:
        for key, parameter in sorted(part.named_parameters()):
            if parameter.ndim == 1:
                digest.update(key.encode() + parameter.detach().float().numpy().tobytes())
    return f"{name} {digest.hexdigest()[:16]}"
