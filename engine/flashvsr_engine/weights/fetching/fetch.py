"""A published version into a folder: which files, from where, checked how; the manifest last."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from flashvsr_engine.errors import HubRefusedError, StorageError, WeightsError
from flashvsr_engine.weights.fetching.hub import Hub, RemoteFile
from flashvsr_engine.weights.fetching.transfer import Wanted, fetch_file, part_file
from flashvsr_engine.weights.manifest import Manifest, read_manifest
from flashvsr_engine.weights.published import PublishedFile, Release
from flashvsr_engine.weights.storage import digest, reason

FetchMode = Literal["tiny", "full"]
LOCK = ".fetch.lock"


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """mode: "tiny" leaves out the Wan VAE, which only mode full decodes with. revision: in place of the pinned one.

    endpoint: of the hub. prompt_url: in place of the published one. say: takes a line for the user.
    """

    mode: FetchMode = "full"
    revision: str | None = None
    endpoint: str | None = None
    prompt_url: str | None = None
    say: Callable[[str], None] = lambda line: None


def fetch(release: Release, folder: Path, options: FetchOptions) -> Manifest:
    """Bring a folder to hold a release; files that are there and right are not fetched again.

    Each file appears under its name when its size and SHA-256 are right, and manifest.json when all files are there.
    HubRefusedError, HubUnreachableError, StorageError; WeightsError if the folder holds another version.
    """
    _make(folder)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise StorageError(f"Another fetch is writing to {folder}; wait for it, or name another folder.") from error
    try:
        return _fetch(release, folder, options)
    finally:
        lock.release()
        (folder / LOCK).unlink(missing_ok=True)


def _fetch(release: Release, folder: Path, options: FetchOptions) -> Manifest:
    before = _manifest_before(release, folder)
    files = [file for file in release.files if options.mode == "full" or file.part != "vae"]
    known = {file.name: file.sha256 or before.sha256.get(file.name, "") for file in files}
    missing = [file for file in files if not _is_right(folder / file.name, known[file.name])]
    source = before.source
    if missing:
        # Where nothing is pinned, files of two commits must not be mixed: all are asked for anew.
        asked = missing if release.revision else files
        source, wanted = _ask(release, asked, options)
        source = source or before.source
        known |= {item.name: item.sha256 for item in wanted}
        missing = [file for file in asked if not _is_right(folder / file.name, known[file.name])]
        _get(folder, [item for item in wanted if item.name in {file.name for file in missing}], options)
    for file in files:
        if file not in missing:
            options.say(f"{file.name}: was there and right")
    names, digests = {file.part: file.name for file in files}, known
    manifest = Manifest(release.version, release.folder, names, digests, source=source)
    manifest.write(folder)
    return manifest


def _get(folder: Path, wanted: list[Wanted], options: FetchOptions) -> None:
    _check_space(folder, wanted)
    for item in wanted:
        options.say(f"{item.name}: {item.size / 1e6:.1f} MB from {item.url}")
        fetch_file(folder, item)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()
    except OSError as error:
        raise StorageError(f"{folder} cannot be written to: {reason(error)}; name another with --dir.") from error


def _manifest_before(release: Release, folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    if manifest.version not in (None, release.version) or manifest.name not in (Manifest().name, release.folder):
        raise WeightsError(
            f"{folder} holds {manifest.name}, version {manifest.version}; "
            f"name another folder for {release.folder} with --dir."
        )
    if not set(manifest.files.values()) <= {file.name for file in release.files}:
        raise WeightsError(f"{folder} holds converted files; name another folder for the published ones with --dir.")
    return manifest


def _is_right(path: Path, sha256: str) -> bool:
    return path.is_file() and digest(path) == sha256


def _ask(release: Release, files: list[PublishedFile], options: FetchOptions) -> tuple[str | None, list[Wanted]]:
    """Where the files are to be had, and that what is offered is what is expected, before anything is fetched."""
    hub = Hub(release.repository, options.endpoint)
    on_hub = [file for file in files if file.url is None]
    commit = hub.commit(release, options.revision) if on_hub else ""
    wanted = [_compare(file, hub.describe(file.name, commit), commit) for file in on_hub]
    for file in files:
        if file.url is not None:
            assert file.size is not None, "a file off the hub has a known size"
            assert file.sha256 is not None, "a file off the hub has a known digest"
            wanted.append(Wanted(file.name, options.prompt_url or file.url, file.size, file.sha256))
    return (f"{release.repository}@{commit}" if commit else None), wanted


def _compare(file: PublishedFile, found: RemoteFile, commit: str) -> Wanted:
    if found.commit != commit:
        raise HubRefusedError(f"{found.url} is of commit {found.commit}; expected {commit}: the hub is at odds.")
    for what, told, expected in (("size", found.size, file.size), ("SHA-256", found.sha256, file.sha256)):
        if told is not None and expected is not None and told != expected:
            raise HubRefusedError(f"{found.url} has {what} {told}; expected {expected}: it is not the published file.")
    size, sha256 = file.size or found.size, file.sha256 or found.sha256
    if size is None or sha256 is None:
        raise HubRefusedError(f"{found.url} comes without {'a size' if size is None else 'a SHA-256'} to check it by.")
    return Wanted(file.name, found.url, size, sha256)


def _check_space(folder: Path, wanted: list[Wanted]) -> None:
    parts = [part_file(folder, item) for item in wanted]
    needed = sum(item.size for item in wanted) - sum(part.stat().st_size for part in parts if part.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(f"{folder} has {free / 1e9:.2f} GB free; {needed / 1e9:.2f} GB are needed: make room.")
