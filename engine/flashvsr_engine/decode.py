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
    guides = Guides(state.lq_tail, lq)
    state.lq_tail = guides.tail
    for start in range(0, chunk.latents, stream.steps.decode_latents):
        stop = min(start + stream.steps.decode_latents, chunk.latents)
        guide = guides.of_latents(start, stop)
        skipped = TRIMMED if state.decoder is None else 0
        decoded, state.decoder = decoded_frames(stream, latents[:, :, start:stop], guide, state.decoder)
        yield finished_frames(stream, decoded[0], guide[0], skipped)


def decoded_frames(
    stream: Stream, latents: Tensor, guide: Tensor, memory: tuple[Tensor, ...] | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """What the decoder makes of latents (batch, 16, L, H/8, W/8): (batch, frames, 3, H, W), and its memory."""
    network, bands = stream.network, stream.steps.decoder_bands
    if network.vae is not None:
        return network.vae(latents, memory, bands)
    decoder = network.tcdecoder
    assert decoder is not None
    return decoder(latents.to(decoder.dtype), guide.to(decoder.dtype), memory, bands)


def finished_frames(stream: Stream, decoded: Tensor, guide: Tensor, skipped: int) -> Tensor:
    """Output frames of one stream, cropped and corrected.

    decoded: (frames, 3, H, W) as the decoder makes them; guide: (3, frames, H, W), what they are tied to. skipped:
    frames of before the stream's start, which are left out.
    """
    if stream.network.vae is not None:  # leaves them out itself
        y = decoded.float()
        guide = guide[:, -len(y) :].transpose(0, 1)
    else:
        y = 2 * decoded[skipped:].float()
        guide = guide[:, skipped:].transpose(0, 1)
        y = add_residual(guide, y) if stream.network.manifest.residual else y - 1
    return _corrected(stream, crop(y, stream.geometry), crop(guide, stream.geometry))


def _corrected(stream: Stream, y: Tensor, guide: Tensor) -> Tensor:
    """Corrected frames as the stream gives them out; both (frames, 3, H, W), cropped."""
    as_map = COLOR_MAPS.get(stream.color_fix)
    if as_map is None or stream.output != "uint8":
        return finished(COLOR_FIXES[stream.color_fix](y, guide), stream.output)
    factor, offset = as_map(y, guide)
    return pack(y, factor, offset, y.shape[2], y.shape[3])


class Guides:
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
