"""A hub on this machine that answers as the real one does, and fails as it is told to."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Stub:
    """What is served, and which faults.

    cut: (file, byte) -> how often the connection breaks at that byte; before that it is silent while `stalls`.
    failing: file -> status of its contents. altered: file -> other contents than the hub says it has. told: file ->
    headers to replace. shift: by how many bytes a range differs from what was asked. down: status of everything.
    """

    files: dict[str, bytes]
    commit: str
    knows: set[str] = field(default_factory=lambda: {"main"})
    cut: dict[tuple[str, int], int] = field(default_factory=dict)
    failing: dict[str, int] = field(default_factory=dict)
    altered: dict[str, bytes] = field(default_factory=dict)
    told: dict[str, dict[str, str | None]] = field(default_factory=dict)
    stalls: bool = False
    ranges: bool = True
    shift: int = 0
    down: int | None = None
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""

    @property
    def prompt_url(self) -> str:
        """Where the prompt is to be had, as from its own repository."""
        return f"{self.url}/raw/posi_prompt.pth"

    def gets(self, name: str) -> list[str | None]:
        """The Range header of each request for a file's contents."""
        return [asked for method, path, asked in self.requests if method == "GET" and path == f"/raw/{name}"]

    def described(self, name: str) -> dict[str, str]:
        """The headers by which the hub describes a file."""
        content = self.files[name]
        headers: dict[str, str | None] = {
            "X-Repo-Commit": self.commit,
            "X-Linked-Size": str(len(content)),
            "X-Linked-ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "ETag": '"0123"',
        }
        headers |= self.told.get(name, {})
        return {key: value for key, value in headers.items() if value is not None}


class _Handler(BaseHTTPRequestHandler):
    stub: Stub

    def log_message(self, *arguments: object) -> None:
        """No noise."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        stub, words = self.stub, self.path.split("/")
        stub.requests.append((self.command, self.path, self.headers.get("Range")))
        if stub.down:
            self._send(stub.down)
        elif words[1] == "raw":
            self._contents(words[2])
        elif len(words) == 6 and words[3] == "resolve":
            self._describe(words[4], words[5])
        else:
            self._send(404, {"X-Error-Code": "RepoNotFound"})

    def _describe(self, revision: str, name: str) -> None:
        """As the hub does for large files: a redirection to another host that carries what is known of the file."""
        stub = self.stub
        if revision not in {*stub.knows, stub.commit}:
            self._send(404, {"X-Error-Code": "RevisionNotFound"})
        elif name not in stub.files:
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": stub.commit})
        else:
            elsewhere = stub.url.replace("127.0.0.1", "localhost")
            self._send(302, {"Location": f"{elsewhere}/raw/{name}", **stub.described(name)})

    def _contents(self, name: str) -> None:
        stub = self.stub
        if name in stub.failing or name not in stub.files:
            self._send(stub.failing.get(name, 404))
            return
        content, start, status, headers = stub.altered.get(name, stub.files[name]), 0, 200, {}
        if stub.ranges and (asked := self.headers.get("Range")):
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(content):
                self._send(416)
                return
            told = start + stub.shift
            headers["Content-Range"] = f"bytes {told}-{len(content) - 1}/{len(content)}"
        self._send(status, headers, content[start:], self._cut_at(name, start))

    def _cut_at(self, name: str, start: int) -> int | None:
        for (file, byte), times in self.stub.cut.items():
            if file == name and byte >= start and times > 0:
                self.stub.cut[file, byte] -= 1
                return byte - start
        return None

    def _send(
        self, status: int, headers: dict[str, str] | None = None, body: bytes = b"", cut: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self._hang_up()

    def _hang_up(self) -> None:
        self.wfile.flush()
        if self.stub.stalls:
            time.sleep(0.5)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that has read enough closes its connection, and its stderr is what tests read."""


@contextmanager
def serving(stub: Stub) -> Iterator[Stub]:
    """Serve on a free port while the block runs."""
    handler = type("Handler", (_Handler,), {"stub": stub})
    server = _QuietServer(("127.0.0.1", 0), handler)
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
