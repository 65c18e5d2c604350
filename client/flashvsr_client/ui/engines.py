"""Which client runs the jobs: one of a server, or the one engine of this process."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Protocol

from flashvsr_client.client import Client
from flashvsr_client.config import LocalOptions
from flashvsr_client.errors import ClientError


class Engines(Protocol):
    """Gives clients. Safe to use from several threads."""

    @property
    def defaults(self) -> LocalOptions | None:
        """The engine's options where nothing else is asked for; None: the server decides on them."""

    def client(self, options: LocalOptions | None) -> Client:
        """Give the client for a job; it stays ours, and is closed by us. The jobs of one engine must not overlap."""

    def about(self) -> str:
        """Say in a few words where the work is done."""

    def close(self) -> None:
        """Disconnect; free the engine."""


class ServerEngines:
    """Those of a server, or of several."""

    defaults = None

    def __init__(self, address: str, client: Client) -> None:
        self._address = address
        self._client = client

    def client(self, options: LocalOptions | None) -> Client:
        """See :class:`Engines`."""
        assert options is None, "a server decides on them"
        return self._client

    def about(self) -> str:
        """See :class:`Engines`. Asks the server; what is wrong with it is the answer, too."""
        try:
            healths = self._client.ping()
        except ClientError as error:
            return str(error)
        models = sorted({f"{health.model} on {health.device}" for health in healths})
        return f"server {self._address}, {', '.join(models)}"

    def close(self) -> None:
        """See :class:`Engines`."""
        self._client.close()


class LocalEngine:
    """The one of this process: loaded when it is first needed, kept, and loaded anew for other options."""

    def __init__(self, defaults: LocalOptions, make: Callable[[LocalOptions], Client] = Client.local) -> None:
        self.defaults = defaults
        self._make = make
        self._lock = Lock()
        self._loaded: tuple[LocalOptions, Client] | None = None

    def client(self, options: LocalOptions | None) -> Client:
        """See :class:`Engines`. Two engines are never in memory at once."""
        chosen = options or self.defaults
        with self._lock:
            if self._loaded is not None and self._loaded[0] != chosen:
                self._loaded[1].close()
                self._loaded = None
            if self._loaded is None:
                self._loaded = chosen, self._make(chosen)
            return self._loaded[1]

    def about(self) -> str:
        """See :class:`Engines`."""
        name = "built-in model" if self.defaults.weights == "builtin" else "weights of its own"
        return f"this machine, {name}"

    def close(self) -> None:
        """See :class:`Engines`."""
        with self._lock:
            if self._loaded is not None:
                self._loaded[1].close()
                self._loaded = None
