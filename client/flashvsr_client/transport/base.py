"""The seam: what every transport offers. The pipeline and the sessions are written against this alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from flashvsr_client.chunks import Frames
from flashvsr_client.errors import InputError, UsageError

SCALES: Final = (2, 3, 4)
MIN_SIDE: Final = 16


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What is to be upscaled. Sizes are of the input in pixels; ``fps`` 0 means unknown; ``seed`` None: the default.

    Raises :class:`UsageError` for a scale, and :class:`InputError` for a size, that no engine takes.
    """

    width: int
    height: int
    scale: int = 4
    fps: float = 0.0
    seed: int | None = None
    first_frame: int = 0
    """Place of the stream's first frame in its film, a multiple of 8: the model's noise is keyed by it."""
    depth: int = 8
    """Bits of a sample, both ways: 8 (uint8) or 16 (uint16)."""

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise UsageError(f"scale {self.scale}: the engine upscales by 2, 3 or 4")
        if self.depth not in (8, 16):
            raise UsageError(f"depth {self.depth}: frames have 8 or 16 bits a colour")
        if min(self.width, self.height) < MIN_SIDE:
            raise InputError(
                f"frames of {self.width}x{self.height}: width and height must be {MIN_SIDE} or more; "
                "enlarge or pad the input first"
            )


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What the engine said when the stream was opened."""

    width: int
    """Of the output, in pixels."""
    height: int
    first_chunk: int
    """Frames that the engine wants before its first output."""
    chunk: int
    """Frames for each further output."""
    max_chunk_frames: int
    """The most that one ``submit`` may carry."""
    model: str
    """Name and version of the weights."""


@dataclass(frozen=True, slots=True)
class Health:
    """One engine's answer to a ping."""

    name: str
    """Under which the server knows it."""
    model: str
    device: str
    sessions: int
    max_sessions: int
    """0: no limit."""
    state_bytes: int = 0
    """Held by all its sessions."""
    state_bytes_budget: int = 0


@dataclass(frozen=True, slots=True)
class AttentionBackend:
    """One implementation of attention in an engine. ``missing`` is why it cannot be used here, None if it can."""

    name: str
    about: str
    missing: str | None
    chosen: bool
    """Whether the engine takes it by itself."""


class Stream(Protocol):
    """One clip on its way. One thread submits and flushes, another one receives; ``close`` may come from any."""

    @property
    def info(self) -> StreamInfo:
        """What the engine said at open."""

    def submit(self, frames: Frames) -> None:
        """Send the next frames, [T, h, w, 3] of the opened depth, 1 <= T <= ``info.max_chunk_frames``.

        Returns when the next ones may be submitted, and so holds the sender back to the engine's pace.
        Raises :class:`StreamClosedError` once the stream is closed.
        """

    def flush(self) -> None:
        """Say that no more frames follow. Raises :class:`StreamClosedError` once the stream is closed."""

    def receive(self) -> Iterator[Frames]:
        """Give the upscaled frames, in order, [T, s*h, s*w, 3] with T >= 1; ends after ``flush``. Iterate once.

        Raises :class:`ServerError`, :class:`SessionLostError`, :class:`EngineUnavailableError` as things go wrong, and
        :class:`StreamClosedError` when another thread closed the stream. After any of these only ``close`` is of use.
        """

    def close(self) -> None:
        """Free the stream here and at the engine; what is in flight is dropped. Does nothing the second time."""


class Transport(Protocol):
    """Opens streams. Safe to use from several threads; its streams are independent of one another."""

    def open(self, spec: StreamSpec) -> Stream:
        """Open a stream. Raises :class:`ServerUnreachableError`, :class:`ServerBusyError`, :class:`ServerError`."""

    def ping(self) -> Sequence[Health]:
        """Ask every engine how it is. Raises :class:`ServerUnreachableError`."""

    def close(self) -> None:
        """Free what the transport holds. Does nothing the second time."""
