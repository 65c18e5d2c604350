"""Who may call: tokens in a file, each with a name, read again whenever the file changes."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from pathlib import Path
from typing import Final

from flashvsr_handler.errors import Unauthenticated
from flashvsr_handler.settings import SettingsError

SHORTEST: Final = 16
"""Characters of a token; fewer could be tried one by one."""


class Tokens:
    """The tokens of one file: a line is ``TOKEN`` or ``NAME TOKEN``; empty lines and those with # are left out.

    Without a file everybody may call, as "". Sessions belong to the name: two tokens of one name, the old and the new
    one, are the same caller; a token without a name is one by itself, wherever it stands. Only hashes are kept, and
    all are compared, in a time that tells nothing.
    """

    def __init__(self, path: str) -> None:
        """Read the file; an empty path is none. Raises :class:`SettingsError` when it cannot be used."""
        self._path = Path(path) if path else None
        self._stamp: tuple[int, ...] | None = None
        self._names: dict[bytes, str] = {}
        if self._path is not None:
            self._refresh(self._path)

    def caller(self, token: str) -> str:
        """Give the name of the caller with that token. Raises :class:`Unauthenticated`."""
        if self._path is None:
            return ""
        try:
            self._refresh(self._path)
        except SettingsError:
            self._names, self._stamp = {}, None  # a file that cannot be read lets nobody in, until it can be
        given, found = _digest(token), ""
        for digest, name in self._names.items():
            if hmac.compare_digest(digest, given):
                found = name
        if not found:
            raise Unauthenticated("The token is missing or wrong: give the client --token-file or FLASHVSR_TOKEN.")
        return found

    def _refresh(self, path: Path) -> None:
        try:
            about = os.stat(path)  # noqa: PTH116 - once a request: no object for it
            stamp = (about.st_mtime_ns, about.st_ctime_ns, about.st_size, about.st_ino)
        except OSError as error:
            raise SettingsError(f"auth_file {str(path)!r} cannot be read: {error}.") from error
        if stamp != self._stamp:
            self._names = {_digest(token): name for token, name in _read(path).items()}
            self._stamp = stamp


def first_token(path: str) -> str:
    """Give the first token of a file, for the server's own health checks; "" for an empty path.

    Raises :class:`SettingsError` when the file cannot be used.
    """
    return next(iter(_read(Path(path)))) if path else ""


def _read(path: Path) -> dict[str, str]:
    """Give the names by token. Raises :class:`SettingsError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows begin a file with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"auth_file {str(path)!r} cannot be read: {error}.") from error
    return _parse(text, path)


def _parse(text: str, path: Path) -> dict[str, str]:
    """Give the names by token."""
    names: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        token = words[-1]
        if len(words) > 2 or len(token) < SHORTEST or not re.fullmatch(r"[!-~]+", token):
            raise SettingsError(
                f"auth_file {str(path)!r}, line {number}: write TOKEN or NAME TOKEN, the token of {SHORTEST} printable "
                "ASCII characters or more."
            )
        name = words[0] if len(words) == 2 else f"token {_digest(token).hex()[:16]}"  # a name has no blank
        if names.setdefault(token, name) != name:
            raise SettingsError(f"auth_file {str(path)!r}, line {number}: this token has another name further up.")
    if not names:
        raise SettingsError(f"auth_file {str(path)!r} has no token: write one a line.")
    return names


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
