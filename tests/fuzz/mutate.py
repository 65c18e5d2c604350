"""Inputs that are nearly right: valid messages with numbers, strings and bytes changed, and their bytes damaged."""

from __future__ import annotations

import random
from typing import Any

from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

NUMBERS = (0, 1, 2, 3, 4, 7, 15, 16, 17, 24, 25, 31, 255, 4095, 4096, 4097, 16384, 16385, 2**31 - 1, 2**31, 2**32 - 1)
WIDE = (2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
SIDE = 16


def message(rng: random.Random, sessions: list[str]) -> pb.StreamRequest:
    """Give a valid request, of a session that may be open, with a few of its fields changed."""
    request = pb.StreamRequest(protocol_version=1, chunk_index=rng.choice((0, 0, 1, 2, 3)))
    if sessions and rng.random() < 0.9:
        request.session_id = rng.choice(sessions)
    body = rng.choice(("open", "frames", "frames", "frames", "flush", "close", "ping", "clip"))
    getattr(request, body).SetInParent()
    if body == "open":
        request.open.CopyFrom(_opening(rng))
    if body == "frames":
        request.frames.CopyFrom(frames(rng))
    if body == "clip":
        request.clip.open.CopyFrom(_opening(rng))
        request.clip.frames.CopyFrom(frames(rng))
    for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
        _change(request, rng)
    return request


def frames(rng: random.Random) -> pb.Frames:
    """Give a small message of frames of either format."""
    count = rng.choice((0, 1, 1, 2, 8, 25))
    pixel_format = rng.choice((pb.PIXEL_FORMAT_RGB24, pb.PIXEL_FORMAT_YUV420P))
    planes = [bytes(count * size) for size in wire.plane_sizes(pixel_format, SIDE, SIDE)]
    return pb.Frames(pixel_format=pixel_format, width=SIDE, height=SIDE, count=count, planes=planes)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat or insert some bytes."""
    raw = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(raw) + 1)
        match rng.randrange(4):
            case 0 if at < len(raw):
                raw[at] ^= 1 << rng.randrange(8)
            case 1:
                del raw[at : at + rng.randrange(1, 9)]
            case 2:
                raw[at:at] = raw[at : at + rng.randrange(1, 17)]
            case _:
                raw[at:at] = rng.randbytes(rng.randrange(1, 9))
    return bytes(raw)


def _opening(rng: random.Random) -> pb.Open:
    return pb.Open(width=SIDE, height=SIDE, scale=rng.choice((2, 3, 4)), output_format=rng.choice((0, 1, 2)))  # type: ignore[arg-type]


def _change(request: Message, rng: random.Random) -> None:
    """Change one field somewhere in a message."""
    fields: list[FieldDescriptor] = list(request.DESCRIPTOR.fields)  # type: ignore[arg-type]
    if not fields:
        return
    field = rng.choice(fields)
    if field.name == "planes":
        values = getattr(request, field.name)
        if len(values) and rng.random() < 0.5:
            del values[rng.randrange(len(values))]
        else:
            values.append(_value(field, rng))
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        if request.HasField(field.name):
            _change(getattr(request, field.name), rng)
    else:
        setattr(request, field.name, _value(field, rng))


def _value(field: FieldDescriptor, rng: random.Random) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_BYTES:
            return rng.randbytes(rng.choice((0, 1, 255, 256, 768, 769)))
        case FieldDescriptor.TYPE_STRING:
            return rng.choice(("", "x", "\x00", "ü" * 20, "a" * 5000))
        case FieldDescriptor.TYPE_DOUBLE:
            return rng.choice((0.0, -1.0, 1e308, float("nan"), float("inf")))
        case FieldDescriptor.TYPE_BOOL:
            return rng.random() < 0.5
        case FieldDescriptor.TYPE_UINT64:
            return rng.choice(NUMBERS + WIDE)
        case FieldDescriptor.TYPE_ENUM:
            return rng.choice((0, 1, 2, 3, 9, 2**31 - 1, -1))
        case _:
            return rng.choice(NUMBERS)
