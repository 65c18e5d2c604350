"""What the hub says of a file, by huggingface_hub; its errors become ours here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import FileMetadataError, HfHubHTTPError, OfflineModeIsEnabled

from flashvsr_engine.errors import HubRefusedError, HubUnreachableError
from flashvsr_engine.weights.published import Release

BRANCH = "main"
PREFIX = 12
"""Digits of a commit that are compared: as many as anybody quotes, and enough to tell it from any other."""
_NOT_THERE = (401, 403, 404)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository at a commit; size in bytes, and SHA-256, where the hub tells them."""

    name: str
    url: str
    commit: str
    size: int | None
    sha256: str | None


class Hub:
    """One model repository. endpoint: of the hub; None for the environment's HF_ENDPOINT, else the public one."""

    def __init__(self, repository: str, endpoint: str | None = None) -> None:
        self.repository = repository
        self.endpoint = endpoint.rstrip("/") if endpoint else None

    def describe(self, name: str, revision: str) -> RemoteFile:
        """Ask for a file at a branch or full commit. HubRefusedError if it is not there, HubUnreachableError."""
        url = self._url(name, revision)
        with _our_errors(f"{self.repository} at {revision}: {name}", url):
            found = get_hf_file_metadata(url)
        if found.commit_hash is None:
            raise HubRefusedError(f"{url} answers without a commit; is it a hub? Check HF_ENDPOINT or --endpoint.")
        sha256 = found.etag if found.etag and re.fullmatch("[0-9a-f]{64}", found.etag) else None
        return RemoteFile(name, self._url(name, found.commit_hash), found.commit_hash, found.size, sha256)

    def commit(self, release: Release, revision: str | None) -> str:
        """The commit to fetch: of `revision` where given, else the pinned one. HubRefusedError where it is another.

        A mirror may hold no more than the branch; its head will do if it is the pinned commit.
        """
        probe = release.files[0].name
        if revision or not release.revision:
            return self.describe(probe, revision or BRANCH).commit
        try:
            found = self.describe(probe, release.revision).commit
        except HubRefusedError:
            found = self.describe(probe, BRANCH).commit
        if found[:PREFIX] != release.revision[:PREFIX]:
            raise HubRefusedError(
                f"{self.repository} is at {found}; expected {release.revision}. --revision {found} fetches that one "
                f"instead, if its files have the known SHA-256."
            )
        return found

    def _url(self, name: str, revision: str) -> str:
        return hf_hub_url(self.repository, name, revision=revision, endpoint=self.endpoint)


@contextmanager
def _our_errors(what: str, url: str) -> Iterator[None]:
    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in _NOT_THERE:
            raise HubRefusedError(f"{what} is not on the hub ({status} for {url}).") from error
        raise HubUnreachableError(f"The hub failed with {status} for {url}; try again later.") from error
    except FileMetadataError as error:
        raise HubRefusedError(f"{url} does not answer as a hub does; check HF_ENDPOINT or --endpoint.") from error
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        raise HubRefusedError(f"{url} is no address of a hub ({error}); check HF_ENDPOINT or --endpoint.") from error
    except (httpx2.HTTPError, OfflineModeIsEnabled) as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise HubUnreachableError(f"No hub answers at {url} ({told}); check the network or --endpoint.") from error
