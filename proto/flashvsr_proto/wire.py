"""The one codec between frames and wire messages, for both ends. No torch.

RGB24 and RGB48LE are exact and decoded without a copy; YUV420P halves the bytes of RGB24 and loses chroma detail (see
:mod:`.yuv`).
Every size is checked against the bytes that are there before anything is allocated.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError, Message

from flashvsr_proto import yuv
from flashvsr_proto.color import matrix, resolve
from flashvsr_proto.errors import WireError as WireError  # what this module raises, under its name too
from flashvsr_proto.planes import Planes
from flashvsr_proto.v1 import stream_pb2 as pb

PROTOCOL_VERSION: Final = 1
"""The newest that this code speaks."""
OLDEST_PROTOCOL_VERSION: Final = 1
MAX_SIDE: Final = 16384
"""The longest width or height of a picture on the wire, in pixels."""
MAX_FRAMES: Final = 4096
"""The most pictures in one message; its bytes are what really limits it."""

Pictures = npt.NDArray[np.uint8 | np.uint16]
"""Frames [T, h, w, 3], RGB; uint16 is of full scale, 65535 is white."""

_INTERLEAVED: Final[dict[pb.PixelFormat, np.dtype[np.uint8 | np.uint16]]] = {
    pb.PIXEL_FORMAT_RGB24: np.dtype(np.uint8),
    pb.PIXEL_FORMAT_RGB48LE: np.dtype("<u2"),
}
AnyMessage = TypeVar("AnyMessage", bound=Message)


def parse(kind: type[AnyMessage], data: bytes) -> AnyMessage:
    """Read one message of the given kind. Raises :class:`WireError` for bytes that are none."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        name = kind.DESCRIPTOR.full_name
        raise WireError(f"{len(data)} bytes are not a {name}: send one serialised {name}") from error


def plane_sizes(pixel_format: pb.PixelFormat, width: int, height: int) -> tuple[int, ...]:
    """Bytes of each plane of one picture. Raises :class:`WireError` for an unknown format or size."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise WireError(f"picture of {width}x{height}: width and height must be 1 to {MAX_SIDE}")
    if (sample := _INTERLEAVED.get(pixel_format)) is not None:
        return (3 * width * height * sample.itemsize,)
    if pixel_format == pb.PIXEL_FORMAT_YUV420P:
        chroma_width, chroma_height = yuv.chroma_size(width, height)
        return (width * height, chroma_width * chroma_height, chroma_width * chroma_height)
    raise WireError(f"pixel_format {pixel_format}: use RGB24 (1), YUV420P (2) or RGB48LE (3)")


def encode(
    frames: Pictures | Planes,
    pixel_format: pb.PixelFormat = pb.PIXEL_FORMAT_RGB24,
    color: pb.ColorTags | None = None,
    first_frame: int = 0,
) -> pb.Frames:
    """Make a message of RGB ``frames`` [T, h, w, 3], uint16 for RGB48LE and else uint8, or of YUV420P's own planes.

    ``color`` says which YUV (default: as the proto says). The message carries ``color`` with unspecified tags resolved.
    Raises :class:`WireError`.
    """
    count, height, width = _shape(frames, pixel_format)
    if count > MAX_FRAMES:
        raise WireError(f"{count} frames in one message: send at most {MAX_FRAMES}")
    if not 0 <= first_frame < 2**64:
        raise WireError(f"first_frame {first_frame}: must be 0 to 2^64 - 1")
    plane_sizes(pixel_format, width, height)
    message = pb.Frames(pixel_format=pixel_format, width=width, height=height, count=count, first_frame=first_frame)
    if pixel_format == pb.PIXEL_FORMAT_YUV420P:
        message.color.CopyFrom(resolve(color, height))
        planes = frames if isinstance(frames, Planes) else Planes.of(frames.view(np.uint8), matrix(message.color))
        message.planes.extend(plane.tobytes() for plane in (planes.y, planes.u, planes.v))
    else:
        assert not isinstance(frames, Planes), "as its shape was taken"
        message.planes.append(frames.astype(_INTERLEAVED[pixel_format], copy=False).tobytes())
    return message


def _shape(frames: Pictures | Planes, pixel_format: pb.PixelFormat) -> tuple[int, int, int]:
    """Frames, height and width of what can be sent in that format."""
    if isinstance(frames, Planes):
        if pixel_format != pb.PIXEL_FORMAT_YUV420P:
            raise WireError(f"planes of YUV 4:2:0 for pixel_format {pixel_format}: give RGB frames for that")
        return frames.y.shape
    sample = _INTERLEAVED.get(pixel_format, _INTERLEAVED[pb.PIXEL_FORMAT_RGB24])
    if frames.dtype != sample or frames.ndim != 4 or frames.shape[3] != 3:
        raise WireError(
            f"frames of {frames.dtype} {list(frames.shape)}: give {sample.name} [T, height, width, 3] "
            f"for pixel_format {pixel_format}"
        )
    return frames.shape[:3]


def decode(message: pb.Frames) -> Pictures:
    """Give the RGB frames [T, h, w, 3] of a message, uint16 of RGB48LE and else uint8.

    Interleaved RGB comes as a read-only view of its bytes. Raises :class:`WireError` for anything malformed, before
    any allocation.
    """
    sizes = _checked_sizes(message)
    shape = (message.count, message.height, message.width)
    planes = [np.frombuffer(plane, np.uint8) for plane in message.planes]
    for plane, size in zip(planes, sizes, strict=True):
        if plane.size != size * message.count:
            raise WireError(
                f"a plane of {plane.size} bytes: {message.count} frames of {message.width}x{message.height} "
                f"{pb.PixelFormat.Name(message.pixel_format)} take {size * message.count}; send rows without padding"
            )
    if (sample := _INTERLEAVED.get(message.pixel_format)) is not None:
        return planes[0].view(sample).reshape(*shape, 3)
    chroma_width, chroma_height = yuv.chroma_size(message.width, message.height)
    y = planes[0].reshape(shape)
    u, v = (plane.reshape(message.count, chroma_height, chroma_width) for plane in planes[1:])
    return Planes(y, u, v).rgb(matrix(resolve(message.color, message.height)))


def _checked_sizes(message: pb.Frames) -> tuple[int, ...]:
    """Bytes of each plane of one picture of ``message``, once its format, size and numbers are known to be good."""
    sizes = plane_sizes(message.pixel_format, message.width, message.height)
    if message.count > MAX_FRAMES:
        raise WireError(f"{message.count} frames in one message: send at most {MAX_FRAMES}")
    if len(message.planes) != len(sizes):
        name = pb.PixelFormat.Name(message.pixel_format)
        raise WireError(f"{len(message.planes)} planes: {name} has {len(sizes)}")
    return sizes
