"""How much memory a stream takes, found by running it on tensors that have shapes and no values.

The code that will run is the code that is measured, so a plan cannot drift from it. A dispatch mode sees every tensor
that comes into being on the `meta` device and when it goes.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from flashvsr_engine.chunk import run_chunk
from flashvsr_engine.kernels.target import planning_for
from flashvsr_engine.schedule import Chunk
from flashvsr_engine.state import StreamState
from flashvsr_engine.stream import Stream

META = torch.device("meta")
CPU_OVERHEAD = 1.2
"""On a CPU a process takes this much more than the tensors of its work: oneDNN's buffers and holes in the heap."""
CUDA_LIBRARY_BYTES = 33 << 20
"""What cuBLAS takes of torch's memory for good, on the first product of a stream of work (32 MiB on Hopper)."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes. state: held on the device between chunks; host: held in host memory; peak: in use at most, all in all."""

    state: int
    host: int
    peak: int


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors that are alive, each storage once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._known = set[int]()

    def add(self, count: int) -> None:
        """Count bytes that no tensor stands for, or, negative, no longer."""
        self.now += count
        self.peak = max(self.peak, self.now)

    def know(self, tensors: Iterable[Tensor]) -> None:
        """Do not count these tensors, nor views of them, when they are met."""
        self._known |= {tensor.untyped_storage()._cdata for tensor in tensors}

    def meet(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors whose storage was not met before."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key not in self._known:
                self._known.add(key)
                self.add(size)
                weakref.finalize(storage, self._gone, key, size)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """See `TorchDispatchMode`."""
        made = func(*args, **(kwargs or {}))
        self.meet(leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor))
        return made

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


class Counted:
    """A residency that moves nothing and counts what would be on the device."""

    def __init__(self, live: LiveBytes, weights: int) -> None:
        self._live = live
        self._weights = weights
        self._present = False

    @contextmanager
    def present(self, then_unload: bool) -> Iterator[None]:
        """See `residency.Residency`."""
        if not self._present:
            self._live.add(self._weights)
        yield
        self._present = not then_unload
        if then_unload:
            self._live.add(-self._weights)


def measure(stream: Stream, state: StreamState, live: LiveBytes, resident: int, device: torch.device) -> Footprint:
    """Run the first two chunks of a stream of meta tensors as if on `device`; `resident`: bytes that never leave it.

    The stream's residency is a `Counted` of the same `live`.
    """
    waiting = Chunk(0).frames_in * state.pending[0:0].new_empty(1, *state.pending.shape[1:]).nbytes
    live.add(resident + state.kv.device_bytes + waiting + (CUDA_LIBRARY_BYTES if device.type == "cuda" else 0))
    size = state.pending.shape[1:]
    live.know([*stream.tensors(), *state.kv.tensors()])
    with planning_for(device):
        for _ in range(2):
            frames = torch.empty(Chunk(state.chunks).frames_in, *size, dtype=torch.uint8, device=META)
            with live:
                run_chunk(stream, state, frames)
    held = state.kv.device_bytes + waiting + sum(t.nbytes for t in state.on_device())
    return Footprint(state=held, host=state.kv.host_bytes, peak=live.peak)
