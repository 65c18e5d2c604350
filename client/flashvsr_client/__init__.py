"""FlashVSR client: upscales video files and streams of frames, without torch.

with Client("localhost:7070") as client:
    report = client.upscale_file("in.mp4", "out.mp4", scale=4)
"""

from flashvsr_client.client import Client, Session
from flashvsr_client.config import Encoding, Limits, LocalOptions, Reading, Retry, Timeout
from flashvsr_client.errors import (
    ClientError,
    EngineUnavailableError,
    InputError,
    OutputError,
    ServerBusyError,
    ServerError,
    ServerUnreachableError,
    SessionLostError,
    StreamClosedError,
    UsageError,
)

__all__ = [
    "Client",
    "ClientError",
    "Encoding",
    "EngineUnavailableError",
    "InputError",
    "Limits",
    "LocalOptions",
    "OutputError",
    "Reading",
    "Retry",
    "ServerBusyError",
    "ServerError",
    "ServerUnreachableError",
    "Session",
    "SessionLostError",
    "StreamClosedError",
    "Timeout",
    "UsageError",
]
__version__ = "0.1.0"
