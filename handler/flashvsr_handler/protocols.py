"""What the service needs of an engine; :class:`flashvsr_engine.FlashVSREngine` is one, and tests have another."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from flashvsr_handler.underway import Underway

Pictures = npt.NDArray[np.uint8 | np.uint16]
"""Frames [T, height, width, 3], RGB."""
Made = Pictures | Underway
"""Frames as an engine gives them, or as a GPU may still be making them: RGB, or planes of YUV 4:2:0."""
Output = Literal["uint8", "uint16"]


class Plan(Protocol):
    """What the engine says of a stream before it is opened: pixels, frames and bytes."""

    @property
    def out_width(self) -> int:
        """Width of an output frame."""

    @property
    def out_height(self) -> int:
        """Height of an output frame."""

    @property
    def first_chunk(self) -> int:
        """Frames wanted before the first output."""

    @property
    def chunk(self) -> int:
        """Frames for each later output."""

    @property
    def look_ahead(self) -> int:
        """By how many frames output trails input."""

    @property
    def state_bytes(self) -> int:
        """What the session holds between calls."""

    @property
    def peak_bytes(self) -> int:
        """Device memory in use while a chunk runs, weights included."""

    @property
    def graph_bytes(self) -> int:
        """What recorded chunks may hold beside that; sessions share it."""


class Snapshot(Protocol):
    """A stream's whole state in host memory."""

    @property
    def nbytes(self) -> int:
        """Bytes of host memory that it takes."""


class Source(Protocol):
    """What a stream's frames go into and come out of."""

    def push(self, frames: Pictures, /) -> Made:
        """Take T >= 0 frames; return those that are ready, T' >= 0."""

    def finish(self) -> Made:
        """Return the rest."""


class EngineSession(Protocol):
    """One stream of frames."""

    @property
    def frames_in(self) -> int:
        """Frames taken so far."""

    @property
    def frames_out(self) -> int:
        """Frames returned so far."""

    def push(self, frames: Pictures, /) -> Pictures:
        """Take T >= 0 frames; return those that are ready, T' >= 0."""

    def finish(self) -> Pictures:
        """Return the rest."""

    def snapshot(self) -> Any:
        """Copy the whole state into host memory, as a :class:`Snapshot`; the session goes on as well."""

    def close(self) -> None:
        """Free the state; the counts of frames stay."""


class Engine(Protocol):
    """A model on a device. Calls to it and to its sessions must not overlap, except that it may plan meanwhile."""

    @property
    def name(self) -> str:
        """Name and version of the weights."""

    def plan(self, width: int, height: int, scale: int | None = None) -> Plan:
        """Say what a stream of that size takes; nothing is allocated. One thread plans at a time."""

    def open(
        self,
        width: int,
        height: int,
        scale: int | None = None,
        seed: int | None = None,
        *,
        output: Output = "uint8",
        first_frame: int = 0,
    ) -> EngineSession:
        """Open a stream of that size, which gives frames of that type.

        ``first_frame``: the place of its first frame in its film.
        """

    def resume(self, snapshot: Any) -> EngineSession:
        """Go on exactly with a stream from its snapshot."""
