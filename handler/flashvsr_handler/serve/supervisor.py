"""From start to end of a server: wait until it answers, watch it, stop it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import grpc
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler.serve.births import Births
from flashvsr_handler.serve.door import Door
from flashvsr_handler.serve.errors import Exit, ServeError
from flashvsr_handler.serve.health import Doctor, Ping
from flashvsr_handler.serve.process import TorchServe
from flashvsr_handler.serve.revival import PATIENCE_S, Patient, Pulse, revive
from flashvsr_handler.serve.rundir import RunDir
from flashvsr_handler.serve.signals import StopSignals

PAUSE_S: Final = 0.2
STOP_S: Final = 10.0
"""For Java to end, once no session is open."""
BIRTH_S: Final = 120.0
"""For a worker to import torch, before which it cannot say that it loads: on a busy machine more than PATIENCE_S."""
LAST_WORD_S: Final = 1.5
"""After the drain's deadline, so that clients are told by an answer that it has passed."""


@dataclass(frozen=True, slots=True)
class _Start:
    """What is looked at while a server starts; ``deadline`` by the monotonic clock."""

    deadline: float
    births: Births
    door: Door


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Watches one TorchServe until it is asked to stop."""

    server: TorchServe
    run: RunDir
    doctor: Doctor
    management_port: int
    """Of TorchServe's management by gRPC, which is to be closed."""
    signals: StopSignals
    say: Callable[[str], None]
    hang_timeout_s: float
    """A worker that is at one request for longer, and some more, does not count as working."""

    def wait_until_ready(self, timeout_s: float) -> dict[str, str]:
        """Wait for every model to answer a ping; return their devices by name, fewer when it was asked to stop.

        Raises :class:`ServeError` as soon as a model cannot be loaded or Java ends, and at the deadline.
        """
        births = Births(self.server.workers, self.run.logs / "model.log")
        door = Door(self.server.pid, self.management_port, self.say)
        start = _Start(time.monotonic() + timeout_s, births, door)
        devices: dict[str, str] = {}
        with self.doctor.channel() as channel:
            for name in self.run.models:
                while name not in devices and not self.signals.stop:
                    pong = self._ping(self.doctor.ping(channel, name, timeout_s), start)
                    if pong is not None:
                        devices[name] = pong.device
            while not self.signals.stop and not door.shut():
                self._require_starting(start)
                time.sleep(PAUSE_S)
        return devices

    def watch(self, drain_timeout_s: float) -> Exit:
        """Wait to be asked to stop, then drain. Raises :class:`ServeError` when Java ends by itself."""
        with self.doctor.channel() as channel:
            patients = [Patient(self.doctor, channel, name) for name in self.run.models]
            while not self.signals.stop:
                self._require_alive()
                for patient in patients:
                    self._look_after(patient)
                time.sleep(PAUSE_S)
            self.say(f"stopping; open sessions have {drain_timeout_s:g} s, a second signal ends them now")
            self._drain(channel, drain_timeout_s)
        if self.server.stop(STOP_S, self.signals.hurry):
            return Exit.STOPPED
        self.say("requests that still ran were cut off")
        return Exit.KILLED

    def _drain(self, channel: grpc.Channel, timeout_s: float) -> None:
        """Let no new sessions in and wait for the open ones to end, until the deadline, a second signal, or a crash."""
        try:
            self.run.drain(timeout_s)
        except OSError as error:
            self.say(f"the workers cannot be told ({error.strerror}): sessions are not waited for")
            return
        deadline = time.monotonic() + timeout_s + LAST_WORD_S
        pings = {name: self.doctor.ping(channel, name, timeout_s) for name in self.run.models}
        while pings and time.monotonic() < deadline and not self.signals.hurry() and self.server.ended() is None:
            time.sleep(PAUSE_S)
            for name, ping in [(name, ping) for name, ping in pings.items() if ping.done]:
                pong = ping.pong()
                if pong is not None and pong.draining and pong.sessions == 0:
                    del pings[name]
                else:
                    pings[name] = self.doctor.ping(channel, name, timeout_s)

    def _look_after(self, patient: Patient) -> None:
        working = self.run.reports_of(patient.model_name).is_working(self.hang_timeout_s + PATIENCE_S)
        if not patient.is_gone(time.monotonic(), working=working):
            return
        patient.pulse = Pulse()
        if self.server.has_newborn(BIRTH_S):
            return  # TorchServe has replaced it; one more would only begin from the beginning
        self.say(f"{patient.model_name} does not answer: starting another worker, its sessions are lost")
        try:
            revive(self.run.management, patient.model_name)
        except OSError as error:
            self.say(f"{patient.model_name} could not get another worker yet: {error}")

    def _ping(self, ping: Ping, start: _Start) -> pb.Pong | None:
        """Wait for a ping while all is well; None when it did not get through."""
        while True:
            self._require_starting(start)
            time.sleep(PAUSE_S)
            if ping.done:
                return ping.pong()
            if self.signals.stop:
                return None

    def _require_starting(self, start: _Start) -> None:
        self._require_alive()
        start.door.shut()
        if (reason := start.births.failure()) is not None:
            raise ServeError(Exit.MODEL_FAILED, f"the model cannot be loaded: {reason}; see {self.run.logs}")
        if time.monotonic() > start.deadline:
            raise ServeError(Exit.NOT_READY, f"no answer in time; see {self.run.logs}, or raise --startup-timeout")

    def _require_alive(self) -> None:
        for name in self.run.models:
            if (reason := self.run.reports_of(name).failure()) is not None:
                raise ServeError(Exit.MODEL_FAILED, f"the model cannot be loaded: {reason}")
        if (how := self.server.ended()) is not None:
            raise ServeError(Exit.SERVER_DIED, f"TorchServe ended by itself ({how}); see {self.run.logs}")
