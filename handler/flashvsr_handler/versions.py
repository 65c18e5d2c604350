"""Versions of the protocol: which one a session speaks, and which are refused."""

from __future__ import annotations

from flashvsr_proto import wire

from flashvsr_handler.errors import UnsupportedVersion


def negotiated(newest: int, oldest: int) -> int:
    """The newest version that both sides speak, of a client that speaks all from ``oldest`` to ``newest``.

    Raises :class:`UnsupportedVersion` when there is none.
    """
    chosen = min(newest, wire.PROTOCOL_VERSION)
    if chosen < max(oldest, wire.OLDEST_PROTOCOL_VERSION):
        raise _unsupported(newest)
    return chosen


def require_version(version: int) -> None:
    """Raise :class:`UnsupportedVersion` for a version that this server does not speak."""
    if not wire.OLDEST_PROTOCOL_VERSION <= version <= wire.PROTOCOL_VERSION:
        raise _unsupported(version)


def _unsupported(version: int) -> UnsupportedVersion:
    ours = f"{wire.OLDEST_PROTOCOL_VERSION} to {wire.PROTOCOL_VERSION}"
    return UnsupportedVersion(f"Protocol version {version}: this server speaks {ours}.")
