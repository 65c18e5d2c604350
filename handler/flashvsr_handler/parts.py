"""Pieces of an answer, each made when it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flashvsr_proto.v1 import stream_pb2 as pb

Part = Callable[[], Iterator[pb.StreamResponse]]
"""Makes some messages of an answer: frames are encoded when they are sent, which may be in another thread than the
engine's work."""
Parts = Iterator[Part]


def just(response: pb.StreamResponse) -> Part:
    """Make that one message."""
    return lambda: iter((response,))
