"""Whether the cluster is still there, for a driver that would else wait for answers that never come.

Ray itself says nothing for a minute when its head dies, and ends the process then; of the driver's own node it never
speaks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Final

from flashvsr_client.cluster.placement import Node
from flashvsr_client.executors import FleetLostError

_PERIOD: Final = 2.0
_LOOK_SECONDS: Final = 0.05
_ANEW_SECONDS: Final = 5.0
SILENCE: Final = 35.0
"""Longer than a head takes that is started again, shorter than the 60 seconds after which Ray ends the process."""


class Watch:
    """Asks for the nodes again and again, in a thread that nothing waits for: what is asked of a dead head may hang.

    Safe to use from several threads.
    """

    def __init__(
        self,
        ask: Callable[[], Sequence[Node]],
        own: str | None,
        address: str,
        silence: float,
        period: float = _PERIOD,
    ) -> None:
        """``ask`` gives the nodes that are alive; ``own``: of them the one that the driver is attached to.

        ``silence``: seconds without an answer after which the head counts as dead.
        """
        self._ask = ask
        self._own = own
        self._address = address
        self._period = period
        self._silence = silence
        self._nodes = tuple(ask())
        self._answered = time.monotonic()
        self._broken: str | None = None
        self._answers = 0
        self._hurry = Event()
        self._over = False
        Thread(target=self._watch, name="flashvsr-cluster", daemon=True).start()

    @property
    def nodes(self) -> Sequence[Node]:
        """Those that were alive at the last answer."""
        return self._nodes

    @property
    def lost(self) -> str | None:
        """What died, in words; None while all is well."""
        if self._broken is not None:
            return self._broken
        if self._own is not None and self._own not in {node.id for node in self._nodes}:
            return f"this machine's node of the Ray cluster at {self._address} died"
        if time.monotonic() - self._answered > self._silence:
            return f"the head of the Ray cluster at {self._address} has not answered for {self._silence:.0f} s"
        return None

    def check(self) -> None:
        """Raise :class:`FleetLostError` where the cluster is lost."""
        if (lost := self.lost) is not None:
            raise FleetLostError(f"{lost}: start it again (`ray start`), and repeat the command with --resume")

    def check_anew(self) -> None:
        """Do so when the nodes have been asked once more, which takes some seconds at most.

        An actor that is gone, for one, may be gone because all of them are.
        """
        wanted, until = self._answers + 2, time.monotonic() + _ANEW_SECONDS  # one may be under way already
        while self._answers < wanted and self.lost is None and time.monotonic() < until:
            self._hurry.set()
            time.sleep(_LOOK_SECONDS)
        self.check()

    def broke(self, reason: str) -> None:
        """Note that Ray itself broke on this machine, which it does at once where its processes are gone."""
        what = "the connection to" if self._own is None else "this machine's node of"
        self._broken = self._broken or f"{what} the Ray cluster at {self._address} died ({reason})"

    def end(self) -> None:
        """Ask no more."""
        self._over = True
        self._hurry.set()

    def _watch(self) -> None:
        while not self._over:
            self._hurry.wait(self._period)
            self._hurry.clear()
            try:
                self._nodes = tuple(self._ask())
            except Exception:  # noqa: BLE001 - Ray has an error for each way of not answering, and none of them counts
                continue
            self._answered = time.monotonic()
            self._answers += 1
