"""A session: one stream of frames through an engine."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, overload

import numpy.typing as npt
import torch
from torch import Tensor

from flashvsr_engine import checkpoint, schedule
from flashvsr_engine.checkpoint import Snapshot
from flashvsr_engine.chunk import run_chunk
from flashvsr_engine.errors import OutOfMemoryError, SessionStateError
from flashvsr_engine.frames import Frames, copied
from flashvsr_engine.kvcache import KVCache
from flashvsr_engine.schedule import Chunk
from flashvsr_engine.state import StreamState
from flashvsr_engine.stream import Stream


class _Phase(Enum):
    OPEN = "open"
    FAILED = "failed in an earlier chunk; open another session"
    FINISHED = "finished; open another session for another stream"
    CLOSED = "closed; open another session"


class Session:
    """Frames in, frames out, each exactly once and in order. Made by `FlashVSREngine.open`.

    Calls to sessions of one engine must not overlap in time. A session is a context manager; leaving it closes it.
    """

    def __init__(self, stream: Stream, state: StreamState, signature: str, gives_tensors: bool = False) -> None:
        self._stream = stream
        self._phase = _Phase.OPEN
        self._signature = signature
        self._gives_tensors = gives_tensors
        self.state = state

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
        """Take frames uint8 (T, h, w, 3), RGB, any T >= 0; return those that are ready, (T', s*h, s*w, 3), T' >= 0.

        uint8, or float32 in [-1, 1] where the session was opened with output="float". A numpy array gives a numpy
        array, a tensor a tensor on the engine's device. FrameError for frames of another type or size, which leaves
        the session as it was; SessionStateError after its end.
        """
        self._require_open()
        taken = copied(frames, self._stream.geometry)  # the user may change the array after the call
        self._gives_tensors = isinstance(frames, Tensor)
        state = self.state
        if len(taken):
            state.last_frame = taken[-1:].clone()
            state.pending = torch.cat((state.pending.to(taken.device), taken)) if len(state.pending) else taken
            state.frames_in += len(taken)
        return self._result(self._run_ready())

    def finish(self) -> Any:
        """Return the rest of the stream, in the kind of the last push: as many frames came out as went in."""
        self._require_open()
        state = self.state
        chunks = schedule.chunks_for(state.frames_in)
        missing = schedule.frames_needed(chunks) - state.frames_in
        if missing > 0:
            repeated = state.last_frame.expand(missing, -1, -1, -1)
            state.pending = torch.cat((state.pending.to(repeated.device), repeated))
        out = self._run_ready()
        self._release(_Phase.FINISHED)
        return self._result(out)

    def save(self, path: str | Path) -> None:
        """Write the whole state to one safetensors file, from which `FlashVSREngine.restore` goes on exactly.

        The session goes on as well. CheckpointError when the file cannot be written.
        """
        self._require_open()
        checkpoint.save(Path(path), self._stream, self.state, self._signature, self._gives_tensors)

    def snapshot(self) -> Snapshot:
        """Copy the whole state to host memory, from which `FlashVSREngine.resume` goes on exactly.

        The session goes on as well; close it to have its memory back.
        """
        self._require_open()
        return checkpoint.snapshot(self._stream, self.state, self._signature, self._gives_tensors)

    def close(self) -> None:
        """Free the state. Closing twice is fine."""
        if self._phase is not _Phase.CLOSED:
            self._release(_Phase.CLOSED)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run_ready(self) -> list[Tensor]:
        """Run every chunk whose frames are there; frames that only fill the end of the stream are cut off."""
        state, made = self.state, list[Tensor]()
        while len(state.pending) >= (count := Chunk(state.chunks).frames_in):
            self._phase = _Phase.FAILED  # until the chunk is done: an error in it leaves no usable state
            out = self._run_chunk(state.pending[:count])[: state.frames_in - state.frames_out]
            state.pending = state.pending[count:].clone()
            state.frames_out += len(out)
            self._phase = _Phase.OPEN
            made.append(out)
        return made

    def _run_chunk(self, frames: Tensor) -> Tensor:
        try:
            return run_chunk(self._stream, self.state, frames)
        except torch.OutOfMemoryError as error:
            raise OutOfMemoryError(
                f"{self._stream.device} ran out of memory in chunk {self.state.chunks}: close other sessions or"
                " programs on it, or set memory_limit below what is free."
            ) from error

    def _result(self, made: list[Tensor]) -> Frames:
        geometry, output = self._stream.geometry, self._stream.output
        if not made:
            dtype = torch.uint8 if output == "uint8" else torch.float32
            shape = (0, geometry.out_height, geometry.out_width, 3)
            made = [torch.empty(shape, dtype=dtype, device=self._stream.device)]
        frames = made[0] if len(made) == 1 else torch.cat(made)
        return frames if self._gives_tensors else frames.cpu().numpy()

    def _require_open(self) -> None:
        if self._phase is not _Phase.OPEN:
            raise SessionStateError(f"The session is {self._phase.value}.")

    def _release(self, phase: _Phase) -> None:
        state = self.state
        nothing = state.pending[:0].clone()
        spec = replace(state.kv.spec, layers=0)
        nobody = KVCache(spec, self._stream.device, self._stream.device)
        self.state = StreamState(kv=nobody, pending=nothing, last_frame=nothing, chunks=state.chunks)
        self.state.frames_in, self.state.frames_out = state.frames_in, state.frames_out
        self._phase = phase
