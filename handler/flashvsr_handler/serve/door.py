"""TorchServe's management by gRPC, which has no switch: its door is closed from outside, as soon as it opens.

It asks for no token, listens on TCP alone, and could stop workers for anybody on this machine. Linux lets a process
take hold of a socket of its child (pidfd_getfd) and shut it down: nobody can connect any more, and Java does not mind.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PIDFD_GETFD: Final = 438
"""The system call's number, the same on every architecture; Linux 5.6."""
LISTENS: Final = "0A"


@dataclass(slots=True)
class Door:
    """Of one TorchServe; ``say`` is told once when it cannot be closed."""

    pid: int
    port: int
    say: Callable[[str], None]
    _done: bool = False

    def shut(self) -> bool:
        """Close it if it is open by now; whether nothing more is to be done."""
        if not self._done:
            try:
                self._done = close_port(self.pid, self.port)
            except OSError as error:
                where = f"127.0.0.1:{self.port}, which cannot be closed here"
                self.say(f"TorchServe's management listens on {where} ({error.strerror or error})")
                self._done = True
        return self._done


def close_port(pid: int, port: int) -> bool:
    """Shut the listening TCP socket of that port in our child, and who is connected to it; whether one listened.

    Raises OSError where it may not be done: another system, an older kernel, a container without the right to trace.
    """
    if sys.platform != "linux":
        raise OSError("this system cannot")
    sockets = _sockets(pid)
    found = [inode for inode, at, state in sockets if at == port and state == LISTENS]
    if not found:
        return False
    connected = [inode for inode, at, state in sockets if at == port and state != LISTENS]
    handles = dict(_handles(pid))
    pidfd = os.pidfd_open(pid)
    try:
        for inode in (*found, *connected):  # in this order: nobody comes in between
            if inode in handles:
                _shut(pidfd, handles[inode])
    finally:
        os.close(pidfd)
    return True


def _sockets(pid: int) -> list[tuple[str, int, str]]:
    """Inode, own port and state of every TCP socket that a process can see."""
    rows = []
    for name in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):  # no IPv6
            for line in Path(f"/proc/{pid}/net/{name}").read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                rows.append((inode, int(local.rpartition(":")[2], 16), state))
    return rows


def _handles(pid: int) -> Iterator[tuple[str, int]]:
    """Inode and number of every open socket of a process."""
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            target = str(handle.readlink())
            if target.startswith("socket:["):
                yield target[len("socket:[") : -1], int(handle.name)


def _shut(pidfd: int, number: int) -> None:
    call = ctypes.CDLL(None, use_errno=True).syscall
    ours = call(PIDFD_GETFD, pidfd, number, 0)
    if ours < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    with socket.socket(fileno=ours) as taken, suppress(OSError):  # it may have gone by itself
        taken.shutdown(socket.SHUT_RDWR)
