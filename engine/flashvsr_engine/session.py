"""A session: one stream of frames through an engine."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, overload

import numpy.typing as npt
import torch
from torch import Tensor

from flashvsr_engine import checkpoint
from flashvsr_engine.checkpoint import Snapshot
from flashvsr_engine.feed import Feed, Phase
from flashvsr_engine.frames import Frames, empty_output, on_host
from flashvsr_engine.state import StreamState


class Session:
    """Frames in, frames out, each exactly once and in order. Made by `FlashVSREngine.open`.

    Calls to sessions of one engine must not overlap in time. A session is a context manager; leaving it closes it.
    """

    def __init__(self, feed: Feed, signature: str, gives_tensors: bool = False) -> None:
        self.feed = feed
        self._signature = signature
        self._gives_tensors = gives_tensors

    @property
    def state(self) -> StreamState:
        """All that the stream changes."""
        return self.feed.state

    @property
    def frames_in(self) -> int:
        """Frames taken so far."""
        return self.state.frames_in

    @property
    def frames_out(self) -> int:
        """Frames returned so far."""
        return self.state.frames_out

    @overload
    def push(self, frames: Tensor) -> Tensor: ...

    @overload
    def push(self, frames: npt.NDArray[Any]) -> npt.NDArray[Any]: ...

    def push(self, frames: Frames) -> Frames:
        """Take frames (T, h, w, 3), RGB, any T >= 0; return those that are ready, (T', s*h, s*w, 3), T' >= 0.

        Frames are uint8, or uint16 where 65535 is white; those of one stream are of one type. What comes back is of
        the type that the session was opened for. A numpy array gives a numpy array, a tensor a tensor on the engine's
        device. FrameError for frames of another type or size, which leaves the session as it was; SessionStateError
        after its end.
        """
        self.accept(frames)
        return self.result(self._run_ready())

    def finish(self) -> Any:
        """Return the rest of the stream, in the kind of the last push: as many frames came out as went in."""
        self.feed.require_open()
        self.feed.fill_up()
        out = self._run_ready()
        self.feed.release(Phase.FINISHED)
        return self.result(out)

    def save(self, path: str | Path) -> None:
        """Write the whole state to one safetensors file, from which `FlashVSREngine.restore` goes on exactly.

        The session goes on as well. CheckpointError when the file cannot be written.
        """
        self.feed.require_open()
        checkpoint.save(Path(path), self.feed.stream, self.state, self._signature, self._gives_tensors)

    def snapshot(self) -> Snapshot:
        """Copy the whole state to host memory, from which `FlashVSREngine.resume` goes on exactly.

        The session goes on as well; close it to have its memory back.
        """
        self.feed.require_open()
        return checkpoint.snapshot(self.feed.stream, self.state, self._signature, self._gives_tensors)

    def close(self) -> None:
        """Free the state. Closing twice is fine."""
        if self.feed.phase is not Phase.CLOSED:
            self.feed.release(Phase.CLOSED)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def accept(self, frames: Frames) -> None:
        """The first half of `push`: take frames, and run nothing."""
        self.feed.require_open()
        self.feed.take(frames)
        self._gives_tensors = isinstance(frames, Tensor)

    def result(self, made: list[Tensor]) -> Frames:
        """The second half of `push`: chunks' frames in the kind that the user gave."""
        stream = self.feed.stream
        if not made:
            made = [empty_output(0, stream.geometry, stream.output, stream.device)]
        frames = made[0] if len(made) == 1 else torch.cat(made)
        return frames if self._gives_tensors else on_host(frames)

    def _run_ready(self) -> list[Tensor]:
        made = list[Tensor]()
        while self.feed.ready:
            made.append(self.feed.run())
        return made
