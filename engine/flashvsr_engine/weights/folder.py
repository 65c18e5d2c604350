"""A weights folder, found and understood: which file is which part, and of which version it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from flashvsr_engine.errors import WeightsError
from flashvsr_engine.model import ProjectorVersion
from flashvsr_engine.weights.files import read_tensors
from flashvsr_engine.weights.layout import locate, weights_folder
from flashvsr_engine.weights.manifest import Manifest, read_manifest
from flashvsr_engine.weights.published import RELEASES
from flashvsr_engine.weights.version import Releases, conclude


@dataclass(frozen=True, slots=True)
class WeightsFolder:
    """paths: part -> file; all of `PARTS`, and "vae" where it is there. reason: what told the version."""

    path: Path
    manifest: Manifest
    paths: Mapping[str, Path]
    version: ProjectorVersion
    reason: str

    def file(self, part: str) -> Path:
        """The file of a part. WeightsError where the folder lacks this optional part."""
        if part not in self.paths:
            raise WeightsError(
                f"{self.path} lacks the part '{part}'; "
                f"`flashvsr-engine weights fetch --version {self.version} --dir {self.path}` fetches it."
            )
        return self.paths[part]

    def tensors(self, part: str, shapes_only: bool = False) -> dict[str, Tensor]:
        """A part's tensors, their SHA-256 checked where the manifest has it; with shapes_only on the meta device.

        WeightsError that names the file when it is absent, damaged or of another kind.
        """
        path = self.file(part)
        tensors = read_tensors(path, None if shapes_only else self.manifest.sha256.get(path.name), shapes_only)
        return _without_prefix(tensors, "LQ_proj_in.") if part == "projector" else tensors


def open_folder(
    weights: str | Path, version: ProjectorVersion | None = None, releases: Releases = RELEASES
) -> WeightsFolder:
    """Find and understand the folder of "builtin" or of a path, in any layout of `layout`; no tensor is read.

    WeightsError where files are missing or the version is not certain enough: see `version`.
    """
    folder = weights_folder(weights, version)
    manifest = read_manifest(folder)
    paths = locate(folder, manifest)
    verdict = conclude(folder, manifest, paths, version, releases)
    return WeightsFolder(folder, manifest, paths, verdict.version, verdict.reason)


def _without_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Some conversions keep the name under which the projector hangs in the published network."""
    if not all(name.startswith(prefix) for name in tensors):
        return tensors
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
