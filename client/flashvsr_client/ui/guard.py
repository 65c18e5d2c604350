"""What a browser may ask for, and what it may load: a wall around the page, outside of the library that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_API: Final = "/gradio_api/"
_FILES: Final = f"{_API}file="
_OPEN: Final = ("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/login", "/logout")
_OPEN_BELOW: Final = ("/assets/", "/static/", "/svelte/")
_OPEN_API: Final = ("upload", "upload_progress", "queue/join", "queue/data", "cancel", "reset", "login_check")
_OTHERS: Final = 1 << 20  # bytes of anything but an upload, and of the form around one
_HEADERS: Final = {
    # Gradio's templates are compiled in the browser, and its styles are inline
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; worker-src 'self' "
    "blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Guard:
    """An ASGI middleware. It lets through what the page uses, and files of the folder alone."""

    def __init__(self, app: ASGIApp, files: Path, max_upload: int, hosts: Sequence[str] = ()) -> None:
        """``files``: the folder; ``max_upload`` in bytes; ``hosts``: names of this server, () for any."""
        self._app = app
        self._files = str(files)
        self._max_upload = max_upload
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refused = self._refusal(scope)
        if refused is not None:
            await refused(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "").lower()
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if self._hosts and name not in self._hosts:  # a foreign page that made its own name lead here
            return PlainTextResponse(f"{name!r} is no name of this page: start it with --allow-host {name}\n", 421)
        if path.startswith(_FILES):
            if not self._is_ours(path.removeprefix(_FILES)):
                return PlainTextResponse("there is no such file, or it was removed\n", 404)
        elif not _is_open(path):
            return PlainTextResponse("there is nothing here\n", 404)
        size = headers.get("content-length", "0")
        allowed = _OTHERS + (self._max_upload if path == f"{_API}upload" else 0)
        if size.isdecimal() and int(size) > allowed:
            return PlainTextResponse(f"an upload may have {self._max_upload} bytes (--max-upload)\n", 413)
        return None

    def _is_ours(self, name: str) -> bool:
        return name.startswith(f"{self._files}/") and ".." not in Path(name).parts


def _is_open(path: str) -> bool:
    if path in _OPEN or path.startswith(_OPEN_BELOW):
        return True
    call = path.removeprefix(_API)
    return call != path and (call in _OPEN_API or call.startswith("heartbeat/"))
