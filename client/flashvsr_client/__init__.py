"""FlashVSR client: upscales video files and streams of frames, without torch.

with Client("localhost:7070") as client:
    report = client.upscale_file("in.mp4", "out.mp4", scale=4)
"""

from flashvsr_client.client import Client
from flashvsr_client.cluster.options import ClusterOptions
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
from flashvsr_client.session import Session

__all__ = [
    "Access",
    "Client",
    "ClientError",
    "ClusterOptions",
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
