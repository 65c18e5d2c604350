"""How frames reach an engine: one seam, and below it gRPC to a server or an engine in this process."""

from flashvsr_client.transport.base import Health, Stream, StreamInfo, StreamSpec, Transport

__all__ = ["Health", "Stream", "StreamInfo", "StreamSpec", "Transport"]
