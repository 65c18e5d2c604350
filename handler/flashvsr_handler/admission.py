"""What an `open` asks for, checked by arithmetic before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flashvsr_proto import color, wire
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler.errors import TooLarge
from flashvsr_handler.protocols import Engine, Output, Plan
from flashvsr_handler.settings import Settings

ENVELOPE_BYTES: Final = 4096
"""More than a message holds beside its planes."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A stream that the server can carry: what was asked, its plan, and the most frames that one request may hold."""

    opening: pb.Open
    plan: Plan
    max_chunk_frames: int

    @property
    def sample(self) -> Output:
        """The type of the frames' numbers, both ways."""
        return "uint16" if self.opening.output_format == pb.PIXEL_FORMAT_RGB48LE else "uint8"


def examine(engine: Engine, opening: pb.Open, settings: Settings) -> Admission:
    """Check sizes, scale and formats of an `open`.

    Raises :class:`TooLarge` when a picture, or a message with one picture either way, would pass a limit,
    WireError or the engine's ConfigError for what no server would take.
    """
    output_format = opening.output_format or pb.PIXEL_FORMAT_RGB24
    input_format = output_format if output_format == pb.PIXEL_FORMAT_RGB48LE else pb.PIXEL_FORMAT_RGB24
    input_bytes = sum(wire.plane_sizes(input_format, opening.width, opening.height))
    plan = engine.plan(opening.width, opening.height, opening.scale or None)
    size = f"{plan.out_width}x{plan.out_height}"
    if plan.out_width * plan.out_height > settings.max_pixels:
        raise TooLarge(f"Output of {size} passes the server's {settings.max_pixels} pixels: ask for a smaller scale.")
    room = settings.max_message_bytes - ENVELOPE_BYTES
    if sum(wire.plane_sizes(output_format, plan.out_width, plan.out_height)) > room:
        raise TooLarge(
            f"One {size} frame passes the server's {room} bytes a message: ask for YUV420P or a smaller scale."
        )
    color.resolve(opening.output_color, plan.out_height)
    frames = room // input_bytes
    if frames == 0:
        raise TooLarge(f"One {opening.width}x{opening.height} frame passes the server's {room} bytes a message.")
    answer = settings.max_answer_bytes // sum(wire.plane_sizes(input_format, plan.out_width, plan.out_height))
    return Admission(opening, plan, min(frames, settings.max_chunk_frames, max(plan.chunk, answer)))
