"""Models whose worker is gone for good, and how they get another.

Some calls end the Java thread that looks after a worker: a second message to a unary call, a client that leaves
StreamPredictions2 early. TorchServe starts no other by itself and goes on calling itself healthy; taking the model's
workers to none and back to one does start another.
"""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import grpc

from flashvsr_handler.serve.health import Doctor, Ping

PERIOD_S: Final = 5.0
PATIENCE_S: Final = 20.0
"""TorchServe itself starts a worker that crashed within a few seconds."""
LOOK_S: Final = 0.5
"""Of silence that one look counts at most: where looking is held up for longer, so is a worker that would answer."""
SCALE_TIMEOUT_S: Final = 30.0


@dataclass(slots=True)
class Pulse:
    """Decides from what is seen of a worker whether it is gone."""

    silent_s: float = 0.0
    looked_at: float | None = None

    def is_gone(self, now: float, *, answered: bool, working: bool) -> bool:
        """Whether a worker that neither answers a ping nor works has been so for too long.

        Call it again and again, at least every LOOK_S; ``now`` in seconds.
        """
        passed = 0.0 if self.looked_at is None else now - self.looked_at
        self.looked_at = now
        self.silent_s = 0.0 if answered or working else self.silent_s + min(passed, LOOK_S)
        return self.silent_s >= PATIENCE_S


@dataclass(slots=True)
class Patient:
    """One model under watch: pinged now and then, one ping at a time."""

    doctor: Doctor
    channel: grpc.Channel
    model_name: str
    pulse: Pulse = field(default_factory=Pulse)
    answered_at: float | None = None
    ping: Ping | None = None

    def is_gone(self, now: float, *, working: bool) -> bool:
        """Look after the ping and say whether the model needs another worker."""
        if self.ping is not None and self.ping.done:
            self.answered_at = now if self.ping.was_heard() else None
            self.ping = None
        fresh = self.answered_at is not None and now - self.answered_at < PERIOD_S
        if self.ping is None and not fresh:
            self.ping = self.doctor.ping(self.channel, self.model_name, None)
        return self.pulse.is_gone(now, answered=fresh, working=working)


def revive(management: Path, model_name: str) -> None:
    """Give the model a new worker, by the socket of TorchServe's management. Raises OSError when that fails."""
    for workers, wait in ((0, "true"), (1, "false")):
        query = f"min_worker={workers}&max_worker={workers}&synchronous={wait}"
        with closing(_Local(management)) as connection:
            connection.request("PUT", f"/models/{model_name}?{query}")
            if (answer := connection.getresponse()).status >= HTTPStatus.BAD_REQUEST:
                raise OSError(f"TorchServe's management says {answer.status} {answer.reason}")


class _Local(HTTPConnection):
    """HTTP through a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SCALE_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
