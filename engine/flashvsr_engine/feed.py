"""What a stream's frames go through: they wait, make a chunk, and are counted in and out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum

import torch
from torch import Tensor

from flashvsr_engine import schedule
from flashvsr_engine.chunk import run_chunk
from flashvsr_engine.devices import current
from flashvsr_engine.errors import FrameError, OutOfMemoryError, SessionStateError
from flashvsr_engine.frames import Frames, copied
from flashvsr_engine.graphs import ChunkGraphs, steady
from flashvsr_engine.kvcache import KVCache
from flashvsr_engine.schedule import Chunk
from flashvsr_engine.state import StreamState
from flashvsr_engine.stream import Stream


class Phase(Enum):
    """Where a session is in its life, as a clause for its errors."""

    OPEN = "open"
    FAILED = "failed in an earlier chunk; open another session"
    FINISHED = "finished; open another session for another stream"
    CLOSED = "closed; open another session"


class Feed:
    """One stream and its state. `graphs`, where there are some, run its steady chunks."""

    def __init__(self, stream: Stream, state: StreamState, graphs: ChunkGraphs | None) -> None:
        self.stream = stream
        self.state = state
        self.phase = Phase.OPEN
        self.graphs = graphs

    def require_open(self) -> None:
        """SessionStateError unless frames may come."""
        if self.phase is not Phase.OPEN:
            raise SessionStateError(f"The session is {self.phase.value}.")

    def take(self, frames: Frames) -> None:
        """Let frames wait, as many as there are. FrameError for frames of another type or size."""
        taken = copied(frames, self.stream.geometry)  # the user may change the array after the call
        began_with = self.state.last_frame.dtype
        if self.state.frames_in and taken.dtype != began_with:
            raise FrameError(f"frames have type {taken.dtype}; this stream began with {began_with}.")
        if len(taken):
            self.state.last_frame = taken[-1:].clone()
            self.state.frames_in += len(taken)
            self._wait(taken)

    def fill_up(self) -> None:
        """Repeat the last frame until the frames that were taken will all have come out."""
        state = self.state
        missing = schedule.frames_needed(schedule.chunks_for(state.frames_in)) - state.frames_in
        if missing > 0:
            self._wait(state.last_frame.expand(missing, -1, -1, -1))

    @property
    def ready(self) -> bool:
        """Whether the next chunk's frames are there."""
        return len(self.state.pending) >= Chunk(self.state.chunks).frames_in

    def run(self) -> Tensor:
        """Run the next chunk; returns its frames, without those that only fill the end of the stream."""
        with running([self]):
            frames = self.next_frames()
            if self.graphs is not None and steady(self.state):
                return self.book(len(frames), *self.graphs.run([self.state], [frames]))
            return self.book(len(frames), run_chunk(self.stream, self.state, frames))

    def next_frames(self) -> Tensor:
        """The next chunk's input frames."""
        return self.state.pending[: Chunk(self.state.chunks).frames_in]

    def book(self, taken: int, made: Tensor) -> Tensor:
        """Count a chunk that took so many frames; what it made, without those that fill the stream's end."""
        state = self.state
        state.pending = state.pending[taken:].clone()
        made = made[: state.frames_in - state.frames_out]
        state.frames_out += len(made)
        return made

    def release(self, phase: Phase) -> None:
        """Free the state and keep its counters."""
        state = self.state
        nothing = state.pending[:0].clone()
        nobody = KVCache(replace(state.kv.spec, layers=0), self.stream.device, self.stream.device)
        self.state = StreamState(kv=nobody, pending=nothing, last_frame=nothing, chunks=state.chunks)
        self.state.frames_in, self.state.frames_out = state.frames_in, state.frames_out
        self.phase = phase
        if self.graphs is not None:
            self.graphs.clear()
            self.graphs = None

    def _wait(self, frames: Tensor) -> None:
        pending = self.state.pending
        self.state.pending = torch.cat((pending.to(frames.device), frames)) if len(pending) else frames.contiguous()


@contextmanager
def running(feeds: Sequence[Feed]) -> Iterator[None]:
    """Around a chunk of some streams of one device: an error in it leaves no usable state.

    OutOfMemoryError for torch's.
    """
    for feed in feeds:
        feed.phase = Phase.FAILED
    try:
        with current(feeds[0].stream.device):
            yield
    except torch.OutOfMemoryError as error:
        feed = feeds[0]
        raise OutOfMemoryError(
            f"{feed.stream.device} ran out of memory in chunk {feed.state.chunks}: close other sessions or"
            " programs on it, or set memory_limit below what is free."
        ) from error
    for feed in feeds:
        feed.phase = Phase.OPEN
