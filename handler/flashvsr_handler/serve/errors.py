"""Why the server does not run, each with an exit code of its own."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of ``flashvsr-serve``."""

    STOPPED = 0
    """SIGTERM or SIGINT came and everything that was asked was answered."""
    USAGE = 2
    """An option or a setting is wrong."""
    NO_JAVA = 3
    """No Java 11 or later was found."""
    PORT_IN_USE = 4
    """A port that the server needs is taken, or the address is not of this machine."""
    MODEL_FAILED = 5
    """The model cannot be loaded."""
    NOT_READY = 6
    """The server did not answer within the start-up deadline."""
    SERVER_DIED = 7
    """TorchServe ended by itself."""
    KILLED = 8
    """SIGTERM or SIGINT came, and requests were cut off at the drain deadline."""


class ServeError(Exception):
    """The server cannot go on; the message is one line for the operator."""

    def __init__(self, exit_code: Exit, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
