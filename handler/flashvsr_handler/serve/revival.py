"""Models whose worker is gone for good, and how they get another.

Some calls end the Java thread that looks after a worker: a second message to a unary call, a client that leaves
StreamPredictions2 early. TorchServe starts no other by itself and goes on calling itself healthy; taking the model's
workers to none and back to one does start another.
"""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass, field
from typing import Final

import grpc

from flashvsr_handler.serve.health import Doctor, Ping

PERIOD_S: Final = 5.0
PATIENCE_S: Final = 20.0
"""TorchServe itself starts a worker that crashed within a few seconds."""
SCALE_TIMEOUT_S: Final = 30.0


@dataclass(slots=True)
class Pulse:
    """Decides from what is seen of a worker whether it is gone."""

    silent_since: float | None = None

    def is_gone(self, now: float, *, answered: bool, working: bool) -> bool:
        """Whether a worker that neither answers a ping nor works has been so for too long; ``now`` in seconds."""
        if answered or working:
            self.silent_since = None
        elif self.silent_since is None:
            self.silent_since = now
        return self.silent_since is not None and now - self.silent_since >= PATIENCE_S


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
            self.answered_at = now if self.ping.pong() is not None else None
            self.ping = None
        fresh = self.answered_at is not None and now - self.answered_at < PERIOD_S
        if self.ping is None and not fresh:
            self.ping = self.doctor.ping(self.channel, self.model_name, None)
        return self.pulse.is_gone(now, answered=fresh, working=working)


def revive(management_address: str, model_name: str) -> None:
    """Give the model a new worker. Raises OSError when TorchServe's management does not answer."""
    for workers, wait in ((0, "true"), (1, "false")):
        query = f"min_worker={workers}&max_worker={workers}&synchronous={wait}"
        url = f"http://{management_address}/models/{model_name}?{query}"
        with urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=SCALE_TIMEOUT_S):
            pass
