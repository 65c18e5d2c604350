"""From start to end of a server: wait until it answers, watch it, stop it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import grpc
from flashvsr_proto.torchserve.stub import InferenceStub
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler.serve.errors import Exit, ServeError
from flashvsr_handler.serve.health import Ping
from flashvsr_handler.serve.process import TorchServe
from flashvsr_handler.serve.revival import Patient, Pulse, revive
from flashvsr_handler.serve.rundir import RunDir
from flashvsr_handler.serve.signals import StopSignals

PAUSE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Watches one TorchServe until it is asked to stop."""

    server: TorchServe
    run: RunDir
    address: str
    management_address: str
    signals: StopSignals
    say: Callable[[str], None]

    def wait_until_ready(self, timeout_s: float) -> dict[str, str]:
        """Wait for every model to answer a ping; return their devices by name, fewer when it was asked to stop.

        Raises :class:`ServeError` as soon as a model cannot be loaded or Java ends, and at the deadline.
        """
        deadline = time.monotonic() + timeout_s
        devices: dict[str, str] = {}
        with grpc.insecure_channel(self.address) as channel:
            stub = InferenceStub(channel)
            for name in self.run.models:
                while name not in devices and not self.signals.stop:
                    pong = self._ping(Ping(stub, name, timeout_s), deadline)
                    if pong is not None:
                        devices[name] = pong.device
        return devices

    def watch(self, drain_timeout_s: float) -> Exit:
        """Wait to be asked to stop, then drain. Raises :class:`ServeError` when Java ends by itself."""
        with grpc.insecure_channel(self.address) as channel:
            patients = [Patient(InferenceStub(channel), name) for name in self.run.models]
            while not self.signals.stop:
                self._require_alive()
                for patient in patients:
                    self._look_after(patient)
                time.sleep(PAUSE_S)
        self.say(f"stopping; running requests have {drain_timeout_s:g} s")
        if self.server.stop(drain_timeout_s, self.signals.hurry):
            return Exit.STOPPED
        self.say("requests that still ran were cut off")
        return Exit.KILLED

    def _look_after(self, patient: Patient) -> None:
        working = self.run.reports_of(patient.model_name).is_working()
        if not patient.is_gone(time.monotonic(), working=working):
            return
        self.say(f"{patient.model_name} does not answer: starting another worker, its sessions are lost")
        patient.pulse = Pulse()
        try:
            revive(self.management_address, patient.model_name)
        except OSError as error:
            self.say(f"{patient.model_name} could not get another worker yet: {error}")

    def _ping(self, ping: Ping, deadline: float) -> pb.Pong | None:
        """Wait for a ping while all is well; None when it did not get through."""
        while True:
            self._require_alive()
            if time.monotonic() > deadline:
                raise ServeError(Exit.NOT_READY, f"no answer in time; see {self.run.logs}, or raise --startup-timeout")
            time.sleep(PAUSE_S)
            if ping.done:
                return ping.pong()
            if self.signals.stop:
                return None

    def _require_alive(self) -> None:
        for name in self.run.models:
            if (reason := self.run.reports_of(name).failure()) is not None:
                raise ServeError(Exit.MODEL_FAILED, f"the model cannot be loaded: {reason}")
        if (how := self.server.ended()) is not None:
            raise ServeError(Exit.SERVER_DIED, f"TorchServe ended by itself ({how}); see {self.run.logs}")
