"""What can go wrong, as one tree. Every message is a whole sentence for the person at the other end.

EngineError
├── ConfigError        an option has a value that is not allowed           (also a ValueError)
├── WeightsError       a weights folder is missing, damaged or of another model
│   └── HubRefusedError      the hub lacks a file or revision, or serves other content
├── HubUnreachableError  no hub answers                                  (also a ConnectionError)
├── StorageError       a file cannot be written: disk full, read-only    (also an OSError)
├── MissingPackageError  an optional package is not installed            (also an ImportError)
├── DeviceError        the device is absent                                (also a RuntimeError)
├── FrameError         frames of a wrong type, shape or size               (also a ValueError)
├── CheckpointError    a saved session cannot be written or read
├── OutOfMemoryError   the device has no room for a chunk                  (also a MemoryError)
└── SessionStateError  a session was used after its end                    (also a RuntimeError)
"""

from __future__ import annotations


class EngineError(Exception):
    """Any error of this package."""


class ConfigError(EngineError, ValueError):
    """An option has a value that is not allowed."""


class WeightsError(EngineError):
    """A weights folder is missing, damaged or of another model."""


class HubRefusedError(WeightsError):
    """The hub lacks a file or a revision, or serves other content than was published."""


class HubUnreachableError(EngineError, ConnectionError):
    """No hub answers, or it breaks off again and again."""


class StorageError(EngineError, OSError):
    """A file cannot be written: the disk is full, the folder is read-only or taken."""


class MissingPackageError(EngineError, ImportError):
    """An optional package is not installed."""


class DeviceError(EngineError, RuntimeError):
    """The device is absent."""


class FrameError(EngineError, ValueError):
    """Frames of a wrong type, shape or size; the session is as it was before."""


class SessionStateError(EngineError, RuntimeError):
    """A session was used after its end."""


class CheckpointError(EngineError):
    """A saved session cannot be written or read."""


class OutOfMemoryError(EngineError, MemoryError):
    """The device has no room for a chunk; other programs or sessions may have taken it."""
