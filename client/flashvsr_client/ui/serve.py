"""The process of the page: it binds the address, serves, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from types import FrameType
from typing import TYPE_CHECKING, Final

from flashvsr_client.errors import EXIT_INTERRUPTED, UsageError
from flashvsr_client.ui.engines import Engines
from flashvsr_client.ui.store import Store

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from flashvsr_client.ui.visits import Visits

_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_SWEEP_SECONDS: Final = 30.0
_END_SECONDS: Final = 8.0
_GRACE_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how the page is served."""

    host: str = "127.0.0.1"
    port: int = 7860
    """0: any that is free."""
    root_path: str = ""
    """Under which a proxy shows it."""
    allowed_hosts: tuple[str, ...] = ()
    """More names of the page, where it is bound to loopback and a proxy passes the visitor's on."""
    users: tuple[tuple[str, str], ...] = ()
    """Names and passwords; (): nobody is asked."""
    max_upload: int = 2 << 30
    """Bytes."""
    keep_seconds: float = 3600.0
    """For the files of a visit, after its last request."""

    @property
    def loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        return self.host.startswith("127.") or self.host in ("localhost", "::1")

    @property
    def hosts(self) -> Sequence[str]:
        """Names under which it may be asked for; (): any."""
        return (*_LOOPBACK, self.host, *self.allowed_hosts) if self.loopback else ()


def serve(place: Place, engines: Engines, at_once: int) -> None:
    """Serve the page until SIGINT or SIGTERM; print its address when it can be opened.

    ``at_once`` jobs run at a time. Raises :class:`UsageError` for an address that cannot be bound or without the extra,
    :class:`OutputError` without a place for temporary files.
    """
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
    with _needing_the_extra():
        import gradio  # noqa: F401
        import uvicorn  # noqa: F401
    from flashvsr_client.ui.runner import Runner
    from flashvsr_client.ui.visits import Visits

    listener = _bound(place)
    with closing(listener), closing(engines), closing(Store()) as store:
        visits = Visits(store, Runner(engines, at_once), place.keep_seconds)
        with _sweeping(visits):
            _run(_server(place, _app(place, engines, visits, store), listener), listener)
        ended = visits.close(_END_SECONDS)
    if not ended:  # an engine that computes one chunk for longer than that; the interpreter would wait for it
        sys.stdout.flush()
        os._exit(EXIT_INTERRUPTED)


def _app(place: Place, engines: Engines, visits: Visits, store: Store) -> ASGIApp:
    from flashvsr_client.ui.guard import Guard

    os.environ["GRADIO_TEMP_DIR"] = str(store.root)  # Gradio asks nothing else; read when a page is laid out
    import gradio
    from fastapi import FastAPI

    from flashvsr_client.ui import page
    from flashvsr_client.ui.actions import Actions

    blocks = page.page(Actions(visits, engines), engines.defaults, place.max_upload)
    app = gradio.mount_gradio_app(
        FastAPI(openapi_url=None),
        blocks,
        path="/",
        server_name=place.host,
        server_port=place.port,
        footer_links=[],
        run_history=False,
        auth=list(place.users) or None,
        root_path=place.root_path or None,
        show_error=False,
        max_file_size=place.max_upload,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=page.theme(),
        css_paths=[page.CSS],
    )
    return Guard(app, store.root, place.max_upload, place.hosts)


def _bound(place: Place) -> socket.socket:
    try:
        family = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((place.host, place.port), family=family, backlog=128)
    except OSError as error:
        raise UsageError(
            f"{place.host}:{place.port} cannot be bound ({error.strerror}): give another --port, 0 for any, or --host"
        ) from error


def _server(place: Place, app: ASGIApp, listener: socket.socket) -> uvicorn.Server:
    import uvicorn

    name = f"[{place.host}]" if ":" in place.host else place.host
    address = f"http://{name}:{listener.getsockname()[1]}/"

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"flashvsr: ready on {address}", flush=True)  # noqa: T201 - what it says to whoever started it

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=_GRACE_SECONDS
    )
    return Announcing(config)


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    """Run until a signal. uvicorn raises it again when it has ended, for handlers that were there before: these."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run([listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _sweeping(visits: Visits) -> Iterator[None]:
    """Look now and then for what is too old."""
    ending = Event()

    def sweep() -> None:
        while not ending.wait(_SWEEP_SECONDS):
            visits.sweep()

    Thread(target=sweep, name="flashvsr-ui-sweep", daemon=True).start()
    try:
        yield
    finally:
        ending.set()


@contextmanager
def _needing_the_extra() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"the page is not installed here ({error}): pip install './client[ui]' in the repository's folder"
        ) from error
