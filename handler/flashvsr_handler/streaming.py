"""Frames through a session's engine and into answers, piece by piece, so that the first leave early."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ParamSpec

from flashvsr_proto import wire
from flashvsr_proto.planes import Planes
from flashvsr_proto.v1 import stream_pb2 as pb

from flashvsr_handler.protocols import Made, Pictures, Source
from flashvsr_handler.turns import Turns

Given = ParamSpec("Given")


@dataclass(slots=True)
class Stopwatch:
    """Seconds that one request spent in each part."""

    queue: float = 0.0
    """Until the engine was free."""
    decode: float = 0.0
    engine: float = 0.0
    encode: float = 0.0
    send: float = 0.0
    """Until the transport had taken the messages."""

    def timings(self) -> pb.Timings:
        """The same in whole microseconds, as they travel."""
        return pb.Timings(
            queue_us=round(self.queue * 1e6),
            decode_us=round(self.decode * 1e6),
            engine_us=round(self.engine * 1e6),
            encode_us=round(self.encode * 1e6),
            send_us=round(self.send * 1e6),
        )


def pushed(source: Source, frames: Pictures, piece: int, watch: Stopwatch, turns: Turns) -> Iterator[Made]:
    """Push ``frames`` [T, h, w, 3] in pieces of ``piece``; yield what each gives, when it gives any."""
    for start in range(0, len(frames), piece):
        yield from _timed(watch, turns, source.push, frames[start : start + piece])


def finished(source: Source, watch: Stopwatch, turns: Turns) -> Iterator[Made]:
    """End the stream; yield the rest, when there is any."""
    yield from _timed(watch, turns, source.finish)


def packed(
    frames: Pictures | Planes, opening: pb.Open, first_frame: int, target_bytes: int, watch: Stopwatch
) -> Iterator[pb.StreamResponse]:
    """Yield ``frames`` as messages of as many frames as fit ``target_bytes``, one at least."""
    height, width = (frames.y if isinstance(frames, Planes) else frames).shape[1:3]
    pixel_format = opening.output_format or pb.PIXEL_FORMAT_RGB24
    fitting = target_bytes // sum(wire.plane_sizes(pixel_format, width, height))
    each = min(max(1, fitting), wire.MAX_FRAMES)
    for start in range(0, len(frames), each):
        started = time.perf_counter()
        part = frames[start : start + each]
        message = wire.encode(part, pixel_format, opening.output_color, first_frame + start)
        encoded = time.perf_counter()
        watch.encode += encoded - started
        yield pb.StreamResponse(frames=message)
        watch.send += time.perf_counter() - encoded


def _timed(
    watch: Stopwatch, turns: Turns, call: Callable[Given, Made], *args: Given.args, **kwargs: Given.kwargs
) -> Iterator[Made]:
    with turns.take() as waited:
        started = time.perf_counter()
        frames = call(*args, **kwargs)
        watch.engine += time.perf_counter() - started
    watch.queue += waited
    if len(frames):
        yield frames
