"""What can go wrong, as one tree; every message is one line with the value, what is allowed and the remedy.

ClientError                1
├── UsageError             2  an option has a value that is not allowed               (also a ValueError)
├── InputError             3  the input is missing, unreadable, damaged or no video   (also a ValueError)
├── OutputError            4  the output cannot be written: exists, disk, codec       (also an OSError)
├── ServerUnreachableError 5  nothing answers at the address                          (also a ConnectionError)
├── ServerBusyError        6  the server has no room for another session
├── SessionLostError       7  the server, or our session in it, went away in mid-clip
├── ServerError            8  the server refused the request or failed at it
├── EngineUnavailableError 9  the engine in this process cannot be used: package, weights, device
├── JobInterruptedError  130  a job ended on request; its finished segments are kept
└── StreamClosedError      1  a stream was used after its end, or was ended by another thread

The number is the exit code of the `flashvsr` command. 0 is success, 130 an interruption by Ctrl-C.
"""

from __future__ import annotations

from typing import ClassVar, Final

EXIT_OK: Final = 0
EXIT_INTERRUPTED: Final = 130


class ClientError(Exception):
    """Any error of this package."""

    exit_code: ClassVar[int] = 1


class UsageError(ClientError, ValueError):
    """An option has a value that is not allowed."""

    exit_code = 2


class InputError(ClientError, ValueError):
    """The input is missing, unreadable, damaged, of a size that is not allowed, or no video."""

    exit_code = 3


class OutputError(ClientError, OSError):
    """The output cannot be written: it exists, its folder does not, the disk is full, the container is unsuited."""

    exit_code = 4


class ServerUnreachableError(ClientError, ConnectionError):
    """Nothing answers at the address."""

    exit_code = 5


class ServerBusyError(ClientError):
    """The server has no room for another session now."""

    exit_code = 6


class SessionLostError(ClientError):
    """The server, or our session in it, went away in mid-clip; the clip has to start again."""

    exit_code = 7


class ServerError(ClientError):
    """The server refused the request or failed at it."""

    exit_code = 8


class EngineUnavailableError(ClientError):
    """The engine in this process cannot be used: its package, its weights or its device."""

    exit_code = 9


class JobInterruptedError(ClientError):
    """A job ended on request; what is finished of it is kept, and the message says how to go on."""

    exit_code = EXIT_INTERRUPTED


class StreamClosedError(ClientError):
    """A stream was used after its end, or was ended by another thread."""
