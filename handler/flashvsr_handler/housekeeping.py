"""What a worker does once a second beside its requests, and when it leaves so that TorchServe starts another."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flashvsr_handler.direct import DirectPlane
from flashvsr_handler.gpu import Levels
from flashvsr_handler.metrics import Sample
from flashvsr_handler.reports import Reports
from flashvsr_handler.service import Service
from flashvsr_handler.settings import Settings

PERIOD_S: Final = 1.0
EXIT_DEVICE_LOST: Final = 70
"""The worker leaves; TorchServe starts another, with a clean CUDA context."""
EXIT_HUNG: Final = 71

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ward:
    """A loaded worker and what is done for it."""

    service: Service
    plane: DirectPlane | None
    settings: Settings
    reports: Reports
    gauge: Callable[[], Levels]
    publish: Callable[[list[Sample]], None]


class Housekeeper:
    """A thread that watches over its process. ``leave`` ends the process; tests have another."""

    def __init__(self, leave: Callable[[int], None] = os._exit) -> None:
        self._leave = leave
        self._ward: Ward | None = None
        self._cleaner = threading.Thread()

    def start(self) -> None:
        """Begin, while the model loads: a worker whose TorchServe is gone would not notice."""
        threading.Thread(target=self._run, args=(os.getppid(),), name="housekeeping", daemon=True).start()

    def look_after(self, ward: Ward) -> None:
        """Look after a worker from now on."""
        self._ward = ward

    def tick(self) -> None:
        """Do once what is done every second."""
        if (ward := self._ward) is None:
            return
        if (seconds := ward.service.turns.held_for()) > ward.settings.hang_timeout_s:
            logger.error("The engine has been in one call for %.0f s: starting another worker", seconds)
            self._leave(EXIT_HUNG)
            return
        if (left := ward.reports.drain_seconds()) is not None:
            ward.service.drain.begin(left)
            if ward.plane is not None:
                ward.plane.show_health(serving=False)
        if ward.plane is not None:
            ward.plane.end_silent()
        for metric, level in {**ward.service.levels(), **ward.gauge()}.items():
            ward.service.metrics.record(metric, level)
        ward.publish(ward.service.metrics.drain())
        if not self._cleaner.is_alive():  # what it closes and parks waits for the engine; a tick must not
            self._cleaner = threading.Thread(target=ward.service.housekeep, name="cleaner", daemon=True)
            self._cleaner.start()
        if ward.service.device_lost:
            self._leave(EXIT_DEVICE_LOST)

    def _run(self, parent: int) -> None:
        while True:
            time.sleep(PERIOD_S)
            if os.getppid() != parent:
                self._leave(0)
            self.tick()
