"""The certificate that the server shows, checked before anything starts, and channels to it from this machine."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from flashvsr_handler.serve.errors import Exit, ServeError
from flashvsr_handler.settings import Settings

MOST_ROUNDS: Final = 20
"""A handshake takes a few; more means that it never ends."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A PEM chain that is good for its key, and a name that it is made out to."""

    chain: bytes
    name: str

    @classmethod
    def of(cls, settings: Settings) -> Certificate | None:
        """Check what the settings name; None without TLS. Raises :class:`ServeError` for what no client would take."""
        if not settings.tls_cert:
            return None
        try:
            name = _shaken(settings.tls_cert, settings.tls_key)
            return cls(Path(settings.tls_cert).read_bytes(), name)
        except OSError as error:  # ssl's errors are OSErrors
            reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or error
            message = f"--tls-cert {settings.tls_cert} with --tls-key {settings.tls_key} cannot be used: {reason}"
            raise ServeError(Exit.USAGE, message) from error


def channel_to(address: str, certificate: Certificate | None) -> grpc.Channel:
    """Open a channel to the server at HOST:PORT of this machine, which shows that certificate under its own name."""
    if certificate is None:
        return grpc.insecure_channel(address)
    options = [("grpc.ssl_target_name_override", certificate.name)]
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(certificate.chain), options)


def _shaken(cert: str, key: str) -> str:
    """Shake hands with ourselves in memory: the key fits, the dates hold; give the name on the certificate."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(cert, key, password=_no_password)
    client.check_hostname = False
    client.load_verify_locations(cert)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(down, up, server_hostname="localhost")
    theirs = server.wrap_bio(up, down, server_side=True)
    for _ in range(MOST_ROUNDS):
        with suppress(ssl.SSLWantReadError):
            ours.do_handshake()
            break
        with suppress(ssl.SSLWantReadError):
            theirs.do_handshake()
    about: dict[str, Any] = dict(ours.getpeercert() or {})
    names = [str(value) for _, value in about.get("subjectAltName", ())]
    common = [str(value) for part in about.get("subject", ()) for name, value in part if name == "commonName"]
    return (names or common or ["localhost"])[0].replace("*", "any")


def _no_password() -> str:
    raise ssl.SSLError("the key is encrypted: give one without a passphrase, readable by the server alone")
