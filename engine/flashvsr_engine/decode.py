"""The second half of a chunk: latents -> output frames, a few latents at a time so that memory stays small."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from flashvsr_engine.color import COLOR_FIXES, COLOR_MAPS
from flashvsr_engine.frames import crop, finished
from flashvsr_engine.kernels.pack import pack
from flashvsr_engine.residual import add_residual
from flashvsr_engine.schedule import FRAMES_PER_LATENT, LOOK_AHEAD, TRIMMED, Chunk
from flashvsr_engine.state import StreamState
from flashvsr_engine.stream import Stream


def decode(stream: Stream, state: StreamState, chunk: Chunk, latents: Tensor, lq: Tensor) -> Iterator[Tensor]:
    """The chunk's output frames, (frames, H, W, 3) in the stream's kind, `steps.decode_latents` latents at a time."""
    guides = _Guides(state.lq_tail, lq)
    state.lq_tail = guides.tail
    for start in range(0, chunk.latents, stream.steps.decode_latents):
        stop = min(start + stream.steps.decode_latents, chunk.latents)
        guide = guides.of_latents(start, stop)
        y, state.decoder = _decoded(stream, latents[:, :, start:stop], guide, state.decoder)
        guide = guide[0, :, -len(y) :].transpose(0, 1)  # a stream's first latent stands for one frame, not four
        yield _finished(stream, crop(y, stream.geometry), crop(guide, stream.geometry))


def _finished(stream: Stream, y: Tensor, guide: Tensor) -> Tensor:
    """Corrected frames as the stream gives them out; both (frames, 3, H, W), cropped."""
    as_map = COLOR_MAPS.get(stream.color_fix)
    if as_map is None or stream.output != "uint8":
        return finished(COLOR_FIXES[stream.color_fix](y, guide), stream.output)
    factor, offset = as_map(y, guide)
    return pack(y, factor, offset, y.shape[2], y.shape[3])


def _decoded(
    stream: Stream, latents: Tensor, guide: Tensor, memory: tuple[Tensor, ...] | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Frames float32 (frames, 3, H, W) in about [-1, 1], those of before the stream's start left out."""
    network, bands = stream.network, stream.steps.decoder_bands
    if network.vae is not None:
        decoded, kept = network.vae(latents, memory, bands)
        return decoded[0].float(), kept
    assert network.tcdecoder is not None
    decoded, kept = network.tcdecoder(latents, guide.to(stream.dtype), memory, bands)
    skipped = TRIMMED if memory is None else 0
    y = 2 * decoded[0, skipped:].float()
    if network.manifest.residual:
        return add_residual(guide[0, :, skipped:].transpose(0, 1), y), kept
    return y - 1, kept


class _Guides:
    """The upscaled input frames that a chunk's latents stand for: the chunk's own, four frames back.

    At the start of a stream frame 0 stands in for the three frames before it.
    """

    def __init__(self, tail: Tensor | None, lq: Tensor) -> None:
        self._before = lq[:, :, :1].expand(-1, -1, TRIMMED, -1, -1) if tail is None else tail
        self._lq = lq
        self.tail = lq[:, :, -LOOK_AHEAD:].clone()

    def of_latents(self, start: int, stop: int) -> Tensor:
        """Frames (1, 3, 4 * latents, H, W) of latents start .. stop - 1 of the chunk."""
        first, last = (n * FRAMES_PER_LATENT - self._before.shape[2] for n in (start, stop))
        if first >= 0:
            return self._lq[:, :, first:last]
        if last <= 0:
            return self._before[:, :, first:] if last == 0 else self._before[:, :, first:last]
        return torch.cat((self._before[:, :, first:], self._lq[:, :, :last]), dim=2)
