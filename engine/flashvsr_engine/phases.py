"""What the halves of a chunk take, each found by running it by itself on tensors that have shapes and no values.

The code that will run is the code that is measured, so a plan cannot drift from it. While one half works, what the
other has left lies still: the bytes add up. So a step that divides one half leaves what the other takes as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from flashvsr_engine.decode import decode
from flashvsr_engine.denoise import denoise
from flashvsr_engine.devices import exact
from flashvsr_engine.frames import on_device, upscale
from flashvsr_engine.live import META, LiveBytes
from flashvsr_engine.noise import CHANNELS
from flashvsr_engine.schedule import Chunk
from flashvsr_engine.state import StreamState
from flashvsr_engine.stream import Stream

CHUNKS = (Chunk(0), Chunk(1))
"""All later ones are as the second."""


@dataclass(frozen=True, slots=True)
class FirstHalf:
    """Bytes of the first two chunks from input frames to latents, without the DiT's weights and the KV cache.

    enlarging, denoising, joining: in use at most in each chunk, with what the projector remembers by then; denoising
    as long as the DiT is wanted, joining from then on. remembered: by the projector. left: by it and whatever else
    stays between chunks. kv, kv_host: of the cache, on the device and in host memory.
    """

    enlarging: tuple[int, int]
    denoising: tuple[int, int]
    joining: tuple[int, int]
    remembered: int
    left: int
    kv: int
    kv_host: int


@dataclass(frozen=True, slots=True)
class SecondHalf:
    """Bytes of the first two chunks from latents to output frames.

    decoding: in use at most in each chunk, with its frames and what the decoder remembers by then. remembered: by the
    decoder, with the enlarged frames that it needs again.
    """

    decoding: tuple[int, int]
    remembered: int


class Watched:
    """A residency that moves nothing; `peaks`: the most bytes that were alive each time while the DiT was present."""

    def __init__(self, live: LiveBytes) -> None:
        self.peaks: list[int] = []
        self._live = live

    @contextmanager
    def present(self, then_unload: bool) -> Iterator[None]:
        """See `residency.Residency`."""
        yield
        self.peaks.append(self._live.take_peak())


@torch.inference_mode()
def first_half(stream: Stream, state: StreamState, live: LiveBytes) -> FirstHalf:
    """Measure it for a stream of meta tensors at its start; `live` has counted nothing yet."""
    live.know([*stream.tensors(), *state.kv.tensors()])
    watched, enlarging, joining = Watched(live), [], []
    stream = replace(stream, residency=watched)
    for chunk in CHUNKS:
        frames = _frames(stream, chunk)
        with live, exact(stream.dtype):
            lq = upscale(on_device(frames, META), stream.geometry)
            enlarging.append(live.take_peak())
            latents = denoise(stream, state, chunk, lq, chunk.first_latent)
            joining.append(live.take_peak())
        assert latents.is_contiguous(), "the second half is measured with latents that are"
        del frames, lq, latents
        live.take_peak()
    return FirstHalf(
        (enlarging[0], enlarging[1]),
        (watched.peaks[0], watched.peaks[1]),
        (joining[0], joining[1]),
        state.projector.nbytes,
        live.now,
        state.kv.device_bytes,
        state.kv.host_bytes,
    )


@torch.inference_mode()
def second_half(stream: Stream, state: StreamState, live: LiveBytes) -> SecondHalf:
    """The same for this half."""
    live.know(stream.tensors())
    size = (stream.geometry.latent_rows, stream.geometry.latent_columns)
    decoding = []
    for chunk in CHUNKS:
        frames = _frames(stream, chunk)
        with live, exact(stream.dtype):
            lq = upscale(on_device(frames, META), stream.geometry)
            latents = torch.empty(1, CHANNELS, chunk.latents, *size, dtype=stream.dtype, device=META)
            live.take_peak()
            made = torch.cat(list(decode(stream, state, chunk, latents, lq)))
            decoding.append(live.take_peak())
        del frames, lq, latents, made
        live.take_peak()
    return SecondHalf((decoding[0], decoding[1]), sum(t.nbytes for t in state.on_device()))


def _frames(stream: Stream, chunk: Chunk) -> Tensor:
    """A chunk's input."""
    size = (stream.geometry.height, stream.geometry.width, 3)
    return torch.empty(chunk.frames_in, *size, dtype=torch.uint8, device=META)
