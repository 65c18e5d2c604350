"""A real nginx with the files of deploy/nginx, but for the nodes and the port."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tests.e2e.serving import wait_until

ROOT = Path(__file__).parents[2]
FILES = ROOT / "deploy" / "nginx"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def proxy(
    folder: Path, nodes: Sequence[str], listen: str = "listen.conf", rate: tuple[int, int] | None = None
) -> Iterator[str]:
    """Run nginx in front of the nodes, HOST:PORT each; give its address.

    ``rate``: requests a second and burst of one address, other than those of the file.
    """
    port = free_port()
    (folder / "temp").mkdir()
    text = (FILES / "nginx.conf").read_text()
    if rate is not None:
        text, changed = re.subn(r"rate=\d+r/s|burst=\d+", lambda found: _limited(found[0], *rate), text)
        assert changed == 2
    (folder / "nginx.conf").write_text(text)
    pattern = next(line for line in (FILES / "nodes.conf").read_text().splitlines() if line.startswith("server "))
    _, _, *options = pattern.split()
    (folder / "nodes.conf").write_text("".join(f"server {node} {' '.join(options)}\n" for node in nodes))
    (folder / "listen.conf").write_text((FILES / listen).read_text().replace("listen 7000", f"listen 127.0.0.1:{port}"))
    command = [NGINX or "nginx", "-p", f"{folder}/", "-c", f"{folder}/nginx.conf"]
    if os.geteuid() == 0:
        command += ["-g", "user root;"]  # the folder is its owner's alone
    with (folder / "nginx.log").open("w") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log)
        try:
            assert wait_until(lambda: _listens(port), 10), (folder / "nginx.log").read_text()
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _limited(text: str, rate: int, burst: int) -> str:
    return f"rate={rate}r/s" if text.startswith("rate") else f"burst={burst}"


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
