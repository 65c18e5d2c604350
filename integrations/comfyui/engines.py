"""The engine in ComfyUI's process: one at a time, kept for the next run that asks for the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from flashvsr_client import Client, LocalOptions

from . import host


class Engines:
    """Lends a client whose engine stays loaded, until ComfyUI unloads its models or other options are asked for."""

    def __init__(self, load: Callable[[LocalOptions], Client] = Client.local) -> None:
        self._load = load
        self._changing = Lock()
        self._kept: tuple[LocalOptions, Client] | None = None
        self._announced: object = None

    @contextmanager
    def lent(self, options: LocalOptions, *, keep: bool) -> Iterator[Client]:
        """Give a client for these options; without ``keep`` its engine is given up with the block."""
        client = self._kept_for(options) or self._loaded(options)
        if options.device != "cpu":
            host.make_room(self._announced)
        try:
            yield client
        finally:
            if not keep:
                self.give_up()

    def give_up(self) -> None:
        """Let the engine go; one that is at work goes with its stream. Does nothing where there is none."""
        with self._changing:
            kept, self._kept = self._kept, None
        if kept is not None:
            kept[1].close()

    def _kept_for(self, options: LocalOptions) -> Client | None:
        kept = self._kept
        return kept[1] if kept is not None and kept[0] == options else None

    def _loaded(self, options: LocalOptions) -> Client:
        self.give_up()
        if self._announced is None:
            self._announced = host.unloadable(self.give_up)
        host.announce(self._announced)  # which may call give_up: before there is something to give up
        client = self._load(options)
        self._kept = options, client
        return client
