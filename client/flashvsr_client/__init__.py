"""FlashVSR client: upscales video files and streams of frames, without torch.

with Client("localhost:7070") as client:
    report = client.upscale_file("in.mp4", "out.mp4", scale=4)
"""

from flashvsr_client.client import Client, Session
from flashvsr_client.config import (
    Access,
    Encoding,
    JobOptions,
    Limits,
    LocalOptions,
    Reading,
    RetryPolicy,
    Segmentation,
    Timeout,
)
from flashvsr_client.errors import (
    ClientError,
    EngineUnavailableError,
    InputError,
    JobInterruptedError,
    OutputError,
    ServerBusyError,
    ServerError,
    ServerUnreachableError,
    SessionLostError,
    StreamClosedError,
    UsageError,
)
from flashvsr_client.interrupt import Interrupt

__all__ = [
    "Access",
    "Client",
    "ClientError",
    "Encoding",
    "EngineUnavailableError",
    "InputError",
    "Interrupt",
    "JobInterruptedError",
    "JobOptions",
    "Limits",
    "LocalOptions",
    "OutputError",
    "Reading",
    "RetryPolicy",
    "Segmentation",
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
