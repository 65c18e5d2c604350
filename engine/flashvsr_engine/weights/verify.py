"""Whether the files of a folder are whole, are the published ones, and make a network; all of them, not the first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from flashvsr_engine.errors import WeightsError
from flashvsr_engine.model import DiTSizes
from flashvsr_engine.weights.folder import WeightsFolder
from flashvsr_engine.weights.load import (
    build_dit,
    build_projector,
    build_tcdecoder,
    build_vae,
    check_projector_width,
    check_prompt,
)
from flashvsr_engine.weights.manifest import Manifest
from flashvsr_engine.weights.published import RELEASES, PublishedFile
from flashvsr_engine.weights.storage import digest
from flashvsr_engine.weights.version import Releases


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be said of a file. problem: what is wrong with it; None if nothing is. told: what it was held to."""

    path: Path
    size: int
    problem: str | None
    told: str = ""


def verify(folder: WeightsFolder, releases: Releases = RELEASES) -> Iterator[Finding]:
    """Check each file: size and SHA-256 where known, every tensor used and of its shape, all values finite."""
    sizes = _dit_sizes(folder)
    for part, path in folder.paths.items():
        size = path.stat().st_size
        try:
            told = _check_content(folder, part, path, releases)
            load_part(folder, part, sizes)
        except WeightsError as error:
            yield Finding(path, size, str(error))
        else:
            yield Finding(path, size, None, told)


def load_part(folder: WeightsFolder, part: str, sizes: DiTSizes | None) -> dict[str, Tensor]:
    """A part's tensors, after a strict trial. sizes: of the DiT, which other parts must fit; None skips that."""
    path = folder.file(part)
    tensors = replace(folder, manifest=replace(folder.manifest, sha256={})).tensors(part)
    if part == "dit":
        build_dit(folder, path, tensors)
    elif part == "tcdecoder":
        build_tcdecoder(folder, path, tensors)
    elif part == "projector":
        projector = build_projector(folder, path, tensors)
        if sizes is not None:
            check_projector_width(path, projector, sizes.dim)
    elif part == "prompt":
        check_prompt(path, tensors, sizes.text if sizes is not None else None)
    else:
        build_vae(path, tensors)
    return tensors


def _dit_sizes(folder: WeightsFolder) -> DiTSizes | None:
    """None where the DiT's file is damaged, of which its own finding tells."""
    try:
        return build_dit(folder, folder.file("dit"), folder.tensors("dit", shapes_only=True)).sizes
    except WeightsError:
        return None


def _check_content(folder: WeightsFolder, part: str, path: Path, releases: Releases) -> str:
    """Hold a file to the manifest's SHA-256, else to what was published under its name; says to which."""
    size, published = path.stat().st_size, _published(folder, part, path, releases)
    expected = folder.manifest.sha256.get(path.name)
    if expected is None and published is not None:
        expected = published.sha256
        if published.size not in (None, size):
            raise WeightsError(
                f"{path} has {size} bytes; version {folder.version} has {published.size}: fetch it again."
            )
    if expected is None:
        return "SHA-256 not known"
    found = digest(path)
    if found != expected:
        raise WeightsError(f"{path} has SHA-256 {found}; expected {expected}: fetch it again.")
    return "SHA-256 as published" if published and published.sha256 == found else "SHA-256 as in manifest.json"


def _published(folder: WeightsFolder, part: str, path: Path, releases: Releases) -> PublishedFile | None:
    """What the release says of a file of this name, unless the folder's manifest gives the name of another model."""
    release = releases[folder.version]
    if folder.manifest.name not in (Manifest().name, release.folder):
        return None
    return next((file for file in release.files if (file.part, file.name) == (part, path.name)), None)
