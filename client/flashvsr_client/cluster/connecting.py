"""Finding a cluster, and connecting to it without a word on the terminal."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from typing import Final

from flashvsr_client.cluster.connection import Connection, reason_of
from flashvsr_client.cluster.watch import SILENCE
from flashvsr_client.errors import EngineUnavailableError, ServerUnreachableError, UsageError

_ANSWER_SECONDS: Final = 5.0
_QUIET: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # what Ray would print of its nodes on stdout; the report says what was lost
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # and no advice about this one
    "RAY_CLIENT_RECONNECT_GRACE_PERIOD": "30",
}


def connect(address: str, *, silence: float = SILENCE) -> Connection:
    """Connect to a cluster that runs: see :class:`ClusterOptions`. ``silence``: see :class:`Watch`.

    Raises :class:`EngineUnavailableError` where ray is not installed, :class:`ServerUnreachableError` where no cluster
    answers, :class:`UsageError` for an address that is none and for versions that do not fit.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)  # which Ray reads when it is imported
    try:
        import ray
    except ImportError as error:
        raise EngineUnavailableError(
            f"ray is not installed here ({error}): pip install './client[ray]' in the repository's folder"
        ) from error
    resolved = os.environ.get("RAY_ADDRESS") or address if address == "auto" else address
    _reach(resolved)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=resolved, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, OSError) as error:
        raise ServerUnreachableError(_nobody(resolved, reason_of(error))) from error
    except ValueError as error:
        raise UsageError(f"--ray {address}: {reason_of(error)}") from error
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise UsageError(f"the Ray cluster at {resolved} and this machine do not fit: {said}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray takes it for itself
    return Connection(ray, resolved, silence)


def _reach(address: str) -> None:
    """Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not (colon and host and port.isdecimal()):
        raise UsageError(f"--ray {address}: give auto, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except OSError as error:
        raise ServerUnreachableError(_nobody(address, error.strerror or str(error))) from error


def _nobody(address: str, reason: str) -> str:
    where = "on this machine" if address == "auto" else f"at {address}"
    return f"no Ray cluster answers {where} ({reason}): start one with `ray start --head`, or give --ray its HOST:PORT"
