"""When a request's frames are decoded: it is the dearest thing that a caller can ask for before he is known."""

from __future__ import annotations

import numpy as np
import pytest
from flashvsr_handler.incoming import Incoming
from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb


def test_frames_are_decoded_when_they_are_wanted_or_ahead_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.arange(2 * 16 * 16 * 3, dtype=np.uint8).reshape(2, 16, 16, 3)
    message = pb.StreamRequest(frames=wire.encode(frames)).SerializeToString()
    decode, decoded = wire.decode, list[pb.Frames]()

    def counted(frames: pb.Frames) -> np.ndarray:
        decoded.append(frames)
        return decode(frames)

    monkeypatch.setattr(wire, "decode", counted)
    incoming = Incoming.read(message)
    assert incoming.require_request().HasField("frames")
    assert decoded == []
    for read in (incoming, Incoming.read_ahead(message)):
        decoded_before = len(decoded)
        for _ in range(2):
            assert np.array_equal(read.frames(), frames)
        assert len(decoded) == decoded_before + (read is incoming)
