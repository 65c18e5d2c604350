"""How a server is reached, and how patient a client is with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flashvsr_client.errors import UsageError

DEFAULT_SERVER: Final = "localhost:7070"
TOKEN_VARIABLE: Final = "FLASHVSR_TOKEN"
SYSTEM_CA: Final = "system"


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long to wait for the server, in seconds."""

    connect: float = 5.0
    """For the first answer of all."""
    control: float = 60.0
    """For an answer to open and close."""
    message: float = 600.0
    """For each message of a chunk's answer; waiting behind other sessions counts."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a server is reached that asks who calls, or that shows a certificate."""

    token: str = field(default="", repr=False)
    """Sent with every request; never logged."""
    tls_ca: str | Path | None = None
    """PEM file of who signed the server's certificate; None: no TLS, "system": those that grpc brings."""
    direct: bool = True
    """Take the worker's own port for frames, where the server has one that can be reached."""

    @classmethod
    def read(
        cls,
        environment: Mapping[str, str],
        *,
        token_file: str | Path | None = None,
        tls_ca: str | Path | None = None,
        direct: bool = True,
    ) -> Access:
        """Take the token from a file, else from FLASHVSR_TOKEN: never from a command line, which others can see.

        Raises :class:`UsageError` for a file that cannot be read.
        """
        token = environment.get(TOKEN_VARIABLE, "")
        if token_file is not None:
            try:
                token = Path(token_file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(f"--token-file {token_file} cannot be read: {error}") from error
        return cls(token.strip(), tls_ca, direct)

    def root_certificates(self) -> bytes | None:
        """Bytes of ``tls_ca``; None for those that grpc brings. Raises :class:`UsageError`."""
        if self.tls_ca is None or self.tls_ca == SYSTEM_CA:
            return None
        try:
            return Path(self.tls_ca).read_bytes()
        except OSError as error:
            raise UsageError(f"--tls-ca {self.tls_ca} cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how patiently, a request is sent again after a failure that may pass."""

    attempts: int = 5
    """In all, the first one included."""
    first_delay: float = 0.25
    """Seconds before the second attempt; each further delay is twice as long."""
    max_delay: float = 4.0

    def delay(self, failures: int) -> float:
        """Seconds to wait after that many failures, 1 or more."""
        return min(self.first_delay * 2.0 ** (failures - 1), self.max_delay)
