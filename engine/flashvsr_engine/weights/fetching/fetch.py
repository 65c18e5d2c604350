"""A published version into a folder: which files, from where, checked how; the manifest last."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from flashvsr_engine.errors import HubRefusedError, StorageError, WeightsError
from flashvsr_engine.weights.fetching.hub import Hub, RemoteFile
from flashvsr_engine.weights.fetching.transfer import Patience, Wanted, fetch_file, part_file
from flashvsr_engine.weights.manifest import FILE_NAME, Manifest, read_manifest
from flashvsr_engine.weights.published import PublishedFile, Release
from flashvsr_engine.weights.storage import digest, reason

FetchMode = Literal["tiny", "full"]


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """mode: "tiny" leaves out the Wan VAE, which only mode full decodes with. revision: in place of the pinned one.

    endpoint: of the hub. prompt_url: in place of the published one. say: takes a line for the user.
    """

    mode: FetchMode = "full"
    revision: str | None = None
    endpoint: str | None = None
    prompt_url: str | None = None
    patience: Patience = field(default_factory=Patience)
    say: Callable[[str], None] = lambda line: None


def fetch(release: Release, folder: Path, options: FetchOptions) -> Manifest:
    """Bring a folder to hold a release; files that are there and right are not fetched again.

    Each file appears under its name when its size and SHA-256 are right, and manifest.json when all files are there.
    HubRefusedError, HubUnreachableError, StorageError; WeightsError if the folder holds another version.
    """
    _make(folder)
    lock = FileLock(folder / ".fetch.lock", timeout=0)
    try:
        with lock:
            return _fetch(release, folder, options)
    except Timeout as error:
        raise StorageError(f"Another fetch is writing to {folder}; wait for it, or name another folder.") from error
    finally:
        if not lock.is_locked:
            Path(lock.lock_file).unlink(missing_ok=True)


def _fetch(release: Release, folder: Path, options: FetchOptions) -> Manifest:
    before = _manifest_before(release, folder)
    files = [file for file in release.files if options.mode == "full" or file.part != "vae"]
    known = {file.name: file.sha256 or before.sha256.get(file.name) for file in files}
    missing = [file for file in files if not _is_there(folder, file, known[file.name], options)]
    source = before.source
    if missing:
        source, wanted = _ask(release, missing, known, options)
        to_fetch = [item for item in wanted if not _is_right(folder / item.name, item.sha256)]
        _check_space(folder, to_fetch)
        for item in wanted:
            known[item.name] = item.sha256
            options.say(f"{item.name}: {item.size / 1e6:.1f} MB from {item.url}")
            if item in to_fetch:
                fetch_file(folder, item, options.patience)
    manifest = Manifest(
        version=release.version,
        name=release.folder,
        files={file.part: file.name for file in files},
        sha256={name: sha256 for name, sha256 in known.items() if sha256},
        source=source,
    )
    manifest.write(folder)
    return manifest


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".fetch.lock").touch()
    except OSError as error:
        raise StorageError(f"{folder} cannot be written to: {reason(error)}; name another with --dir.") from error


def _manifest_before(release: Release, folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    if manifest.version not in (None, release.version):
        raise WeightsError(
            f"{folder} holds version {manifest.version}; name another folder for version {release.version}."
        )
    return manifest


def _is_there(folder: Path, file: PublishedFile, sha256: str | None, options: FetchOptions) -> bool:
    there = sha256 is not None and _is_right(folder / file.name, sha256)
    if there:
        options.say(f"{file.name}: is there and right")
    return there


def _is_right(path: Path, sha256: str) -> bool:
    return path.is_file() and digest(path) == sha256


def _ask(
    release: Release, missing: list[PublishedFile], known: dict[str, str | None], options: FetchOptions
) -> tuple[str | None, list[Wanted]]:
    """Where the files are to be had, and that what is offered is what is expected, before anything is fetched."""
    hub = Hub(release.repository, options.endpoint)
    commit = hub.commit(release, options.revision) if any(file.url is None for file in missing) else None
    wanted = []
    for file in missing:
        if file.url is not None:
            assert file.size is not None and file.sha256 is not None, "a file off the hub has a known digest"
            wanted.append(Wanted(file.name, options.prompt_url or file.url, file.size, file.sha256, hub=False))
        elif commit is not None:
            wanted.append(_compare(file, known[file.name], hub.describe(file.name, commit)))
    return (f"{release.repository}@{commit}" if commit else None), wanted


def _compare(file: PublishedFile, sha256: str | None, found: RemoteFile) -> Wanted:
    for what, told, expected in (("size", found.size, file.size), ("SHA-256", found.sha256, sha256)):
        if told is not None and expected is not None and told != expected:
            raise HubRefusedError(f"{found.url} has {what} {told}; expected {expected}: it is not the published file.")
    size, expected_sha256 = file.size or found.size, sha256 or found.sha256
    if size is None or expected_sha256 is None:
        raise HubRefusedError(f"{found.url} comes without {'a size' if size is None else 'a SHA-256'} to check it by.")
    return Wanted(file.name, found.url, size, expected_sha256)


def _check_space(folder: Path, wanted: list[Wanted]) -> None:
    parts = [part_file(folder, item) for item in wanted]
    needed = sum(item.size for item in wanted) - sum(part.stat().st_size for part in parts if part.exists())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(f"{folder} has {free / 1e9:.2f} GB free; {needed / 1e9:.2f} GB are needed: make room.")


__all__ = ["FILE_NAME", "FetchMode", "FetchOptions", "fetch"]
