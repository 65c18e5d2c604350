"""What can be done to need less memory: the steps, in the order in which they are taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flashvsr_engine.schedule import CHUNK_LATENTS


@dataclass(frozen=True, slots=True)
class Steps:
    """How the work on a stream is divided.

    decode_latents: latents that the decoder takes at a time. projector_bands, decoder_bands: horizontal bands in
    which these two work. part_tokens: tokens that go at a time through what concerns each token by itself; None =
    all. unload_dit: the DiT's weights lie in host memory while the decoder works. kv_on_host: so does the KV cache
    but for two blocks. kv_bits: 16 keeps keys and values as they are, 8 as integers. tile_size, tile_overlap: of the
    DiT's tiles, in input pixels; None = the whole frame. tile_batch: tiles that run at once.

    All but kv_bits and the tiles leave the picture as it is.
    """

    decode_latents: int = CHUNK_LATENTS
    projector_bands: int = 1
    part_tokens: int | None = None
    decoder_bands: int = 1
    unload_dit: bool = False
    kv_on_host: bool = False
    kv_bits: int = 16
    tile_size: int | None = None
    tile_overlap: int = 24
    tile_batch: int = 1

    @property
    def plain(self) -> bool:
        """Whether nothing is divided but the decoder's latents."""
        return self == Steps(decode_latents=self.decode_latents)

    @property
    def first_half(self) -> Steps:
        """Those of them that a chunk's way from input to latents depends on, but for where the weights lie."""
        return replace(self, decode_latents=CHUNK_LATENTS, decoder_bands=1, unload_dit=False)

    @property
    def second_half(self) -> Steps:
        """Those of them that the way from latents to output depends on."""
        return Steps(decode_latents=self.decode_latents, decoder_bands=self.decoder_bands)


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder. exact: the picture stays as it is. needs_device: only beside a host's memory."""

    name: str
    change: Mapping[str, Any] = field(hash=False)
    exact: bool = True
    needs_device: bool = False

    def applied(self, steps: Steps) -> Steps:
        """The steps with this one taken as well, where it goes further than they do."""
        return replace(steps, **self.change) if self._goes_further(steps) else steps

    def _goes_further(self, steps: Steps) -> bool:
        for name, value in self.change.items():
            now = getattr(steps, name)
            smaller_is_further = name in ("decode_latents", "part_tokens", "tile_size", "kv_bits")
            if now is None or (value < now if smaller_is_further else value > now):
                return True
        return False


LADDER = (
    Rung("decode latent by latent", {"decode_latents": 1}),
    Rung("projector in 4 bands", {"projector_bands": 4}),
    Rung("4096 tokens at a time", {"part_tokens": 4096}),
    Rung("decoder in 2 bands", {"decoder_bands": 2}),
    Rung("1024 tokens at a time, projector in 8 bands", {"part_tokens": 1024, "projector_bands": 8}),
    Rung("decoder in 4 bands", {"decoder_bands": 4}),
    Rung("DiT's weights in host memory while decoding", {"unload_dit": True}, needs_device=True),
    Rung("KV cache in host memory", {"kv_on_host": True}, needs_device=True),
    Rung("decoder in 8 bands", {"decoder_bands": 8}),
    Rung("KV cache in 8 bits", {"kv_bits": 8}, exact=False),
    Rung("tiles of 256 input pixels", {"tile_size": 256}, exact=False),
    Rung("tiles of 128 input pixels", {"tile_size": 128}, exact=False),
    Rung("tiles of 64 input pixels", {"tile_size": 64}, exact=False),
)
"""Cheapest first; first those that do not change the picture."""
