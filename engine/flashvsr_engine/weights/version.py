"""Which version a folder's projector is of. The file does not say it, and the wrong rule makes ghosts.

Two things tell it for certain: the manifest, and the SHA-256 of a published file. A name is only a hint: people keep
version 1.1 in folders called FlashVSR. What contradicts is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flashvsr_engine.errors import WeightsError
from flashvsr_engine.model import ProjectorVersion
from flashvsr_engine.weights.layout import version_of_name
from flashvsr_engine.weights.manifest import Manifest
from flashvsr_engine.weights.published import RELEASES, PublishedFile, Release
from flashvsr_engine.weights.storage import digest

log = logging.getLogger(__name__)
Releases = Mapping[ProjectorVersion, Release]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A version, and what told it."""

    version: ProjectorVersion
    reason: str


def conclude(
    folder: Path,
    manifest: Manifest,
    paths: Mapping[str, Path],
    asked: ProjectorVersion | None = None,
    releases: Releases = RELEASES,
) -> Verdict:
    """The version of a folder whose parts lie at `paths`. WeightsError where nothing tells it, or two things differ."""
    projector = paths["projector"]
    certain = [Verdict(manifest.version, "its manifest.json says so")] if manifest.version else []
    certain += _by_digest(projector, manifest.sha256.get(projector.name), releases)
    if len({verdict.version for verdict in certain}) > 1:
        first, second = certain
        raise WeightsError(
            f"{folder} holds version {second.version}, since {second.reason}; its manifest.json says {first.version} "
            f"and would ghost: correct it."
        )
    hint = certain[0] if certain else _by_name(folder, paths["dit"])
    if hint is None and asked is None:
        raise WeightsError(f"{folder} has no manifest.json that says its version; give version '1.0' or '1.1'.")
    verdict = hint or Verdict(asked or "1.1", "it was asked for")
    if asked and asked != verdict.version:
        raise WeightsError(
            f"{folder} holds version {verdict.version}; version {asked} was asked for and would ghost "
            f"({verdict.reason}{'' if certain else '; if that is wrong, write manifest.json'})."
        )
    if not certain:
        _refuse_another_projector(projector, verdict, releases)
    log.log(
        logging.INFO if certain else logging.WARNING,
        "%s: version %s, since %s",
        folder,
        verdict.version,
        verdict.reason,
    )
    return verdict


def _by_digest(path: Path, known: str | None, releases: Releases) -> list[Verdict]:
    """Hash the file only where its size is a published one."""
    for release in releases.values():
        file = _projector_of(release)
        if file.sha256 and (known or _digest_if_size(path, file)) == file.sha256:
            return [Verdict(release.version, f"{path.name} is the published file of that version")]
    return []


def _by_name(folder: Path, dit: Path) -> Verdict | None:
    for name in (dit.name, folder.resolve().name):
        version = version_of_name(name)
        if version:
            return Verdict(version, f"the name {name} says so")
    return None


def _refuse_another_projector(path: Path, verdict: Verdict, releases: Releases) -> None:
    """A file of the published size but with other content is not that version's: damaged, or of another version."""
    file = _projector_of(releases[verdict.version])
    found = _digest_if_size(path, file)
    if found is not None and found != file.sha256:
        raise WeightsError(
            f"{path} has SHA-256 {found}; version {verdict.version} ({verdict.reason}) has {file.sha256}: "
            f"it is damaged, or of another version, which would ghost."
        )


def _digest_if_size(path: Path, file: PublishedFile) -> str | None:
    return digest(path) if file.sha256 and path.stat().st_size == file.size else None


def _projector_of(release: Release) -> PublishedFile:
    return next(file for file in release.files if file.part == "projector")
