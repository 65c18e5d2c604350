"""One file over HTTP: goes on where it was cut off, in this run or a later one, and appears only when it is right.

huggingface_hub's own download keeps nothing of a broken one, and shows a file before its digest is known.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeAlias

import httpx2
from huggingface_hub import get_session
from huggingface_hub.errors import OfflineModeIsEnabled
from tqdm.auto import tqdm

from flashvsr_engine.errors import HubRefusedError, HubUnreachableError, StorageError
from flashvsr_engine.weights.storage import digest, reason, settle

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as cut."""
TRIES = 5
"""How often in a row without a byte before giving up."""
PAUSE = 1.0
"""Seconds before the n-th try in a row, times n."""
Bar: TypeAlias = "tqdm[NoReturn]"
_GONE = (401, 403, 404, 410)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch: name of the finished file, where from, its bytes and SHA-256."""

    name: str
    url: str
    size: int
    sha256: str


def fetch_file(folder: Path, wanted: Wanted) -> None:
    """Fetch into `folder`. What has come is kept in a file `.part` for the next try; a wrong file is not kept.

    HubUnreachableError when the connection breaks again and again, HubRefusedError when the file is not there or is
    another than expected, StorageError when it cannot be written.
    """
    part = part_file(folder, wanted)
    with tqdm(total=wanted.size, desc=wanted.name, unit="B", unit_scale=True, disable=None) as bar:
        _fill(part, wanted, bar)
    found = digest(part)
    if found != wanted.sha256:
        part.unlink()
        raise HubRefusedError(
            f"{wanted.url} has SHA-256 {found}; expected {wanted.sha256}: it is another file, or was damaged on the "
            f"way; nothing of it was kept."
        )
    try:
        settle(part, folder / wanted.name)
    except OSError as error:
        raise StorageError(f"{folder / wanted.name} cannot be written: {reason(error)}.") from error


def part_file(folder: Path, wanted: Wanted) -> Path:
    """Where a file lies until it is whole; the name says of which content it is a part."""
    return folder / f"{wanted.name}.{wanted.sha256[:12]}.part"


def _fill(part: Path, wanted: Wanted, bar: Bar) -> None:
    failures, have = 0, _size(part)
    if have > wanted.size:
        part.unlink()
    while (have := _size(part)) < wanted.size:
        try:
            _append(part, wanted, have, bar)
            failure = "the connection was closed early"
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise HubRefusedError(f"{wanted.url} is no address to fetch {wanted.name} from ({error}).") from error
        except httpx2.HTTPError as error:
            failure = " ".join(str(error).split()) or type(error).__name__
        except OfflineModeIsEnabled as error:
            raise HubUnreachableError(f"{wanted.url} is not asked, since HF_HUB_OFFLINE forbids it.") from error
        except OSError as error:
            raise StorageError(
                f"{part} cannot be written: {reason(error)}; what has come is kept, so make room and run it again."
            ) from error
        failures = 0 if _size(part) > have else failures + 1
        if failures >= TRIES:
            raise HubUnreachableError(
                f"{wanted.url} broke off at {_size(part)} of {wanted.size} bytes ({failure}); "
                f"what has come is kept, so run it again."
            )
        time.sleep(PAUSE * failures)


def _append(part: Path, wanted: Wanted, have: int, bar: Bar) -> None:
    headers = {"Accept-Encoding": "identity"}  # bytes as they are: sizes and ranges count them
    if have:
        headers["Range"] = f"bytes={have}-"
    with (
        get_session().stream("GET", wanted.url, headers=headers, timeout=TIMEOUT, follow_redirects=True) as response,
        part.open("ab") as file,
    ):
        start = _start(response, wanted, have)
        if start != have:
            file.truncate(start)
        bar.n = start
        bar.refresh()
        for chunk in response.iter_raw():
            if file.tell() + len(chunk) > wanted.size:
                raise HubRefusedError(f"{wanted.url} sends more than the expected {wanted.size} bytes.")
            file.write(chunk)
            bar.update(len(chunk))


def _start(response: httpx2.Response, wanted: Wanted, have: int) -> int:
    """At which byte the answer starts; 0 from a server that knows no ranges."""
    status = response.status_code
    if status in _GONE:
        raise HubRefusedError(f"{wanted.name} is not there ({status} for {wanted.url}).")
    if status == 416:
        raise HubRefusedError(f"{wanted.url} ends before byte {have}; expected {wanted.size} bytes.")
    if status == 206:
        told = re.match(r"bytes (\d+)-\d*/(\d+|\*)", response.headers.get("Content-Range", ""))
        if told is None or int(told[1]) != have or told[2] not in (str(wanted.size), "*"):
            raise HubRefusedError(f"{wanted.url} answers with another range than was asked for.")
        return have
    if status != 200:
        raise httpx2.RemoteProtocolError(f"status {status}")
    return 0


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
