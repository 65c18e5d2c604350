"""Sizes of a stream, from input pixels to attention blocks: integers only.

The output is padded, never cropped, to multiples of 128 for the network, at its right and bottom; the result is cut
back to exactly scale times the input.
"""

from __future__ import annotations

from dataclasses import dataclass

from flashvsr_engine.config import SCALES, require
from flashvsr_engine.errors import ConfigError

MULTIPLE = 128
LATENT_PIXELS = 8
TOKEN_PIXELS = 16
BLOCK_PIXELS = 128
MIN_SIDE = 16
MAX_OUTPUT_SIDE = 16384


@dataclass(frozen=True, slots=True)
class Geometry:
    """A stream of width x height frames, upscaled by `scale`. ConfigError for sizes that are not allowed."""

    width: int
    height: int
    scale: int

    def __post_init__(self) -> None:
        require("scale", self.scale, SCALES)
        for name, side in (("width", self.width), ("height", self.height)):
            most = MAX_OUTPUT_SIDE // self.scale
            if not MIN_SIDE <= side <= most:
                raise ConfigError(f"{name} is {side}; allowed at scale {self.scale}: {MIN_SIDE} to {most} pixels.")

    @property
    def out_width(self) -> int:
        """Width of the output."""
        return self.width * self.scale

    @property
    def out_height(self) -> int:
        """Height of the output."""
        return self.height * self.scale

    @property
    def padded_width(self) -> int:
        """Width inside the network."""
        return -(-self.out_width // MULTIPLE) * MULTIPLE

    @property
    def padded_height(self) -> int:
        """Height inside the network."""
        return -(-self.out_height // MULTIPLE) * MULTIPLE

    @property
    def pixels(self) -> int:
        """Pixels of a padded frame."""
        return self.padded_width * self.padded_height

    @property
    def latent_rows(self) -> int:
        """Height of a latent."""
        return self.padded_height // LATENT_PIXELS

    @property
    def latent_columns(self) -> int:
        """Width of a latent."""
        return self.padded_width // LATENT_PIXELS

    @property
    def token_rows(self) -> int:
        """Height of the token grid."""
        return self.padded_height // TOKEN_PIXELS

    @property
    def token_columns(self) -> int:
        """Width of the token grid."""
        return self.padded_width // TOKEN_PIXELS

    @property
    def block_rows(self) -> int:
        """Height of a slice in attention blocks."""
        return self.padded_height // BLOCK_PIXELS

    @property
    def block_columns(self) -> int:
        """Width of a slice in attention blocks."""
        return self.padded_width // BLOCK_PIXELS

    @property
    def blocks(self) -> int:
        """Attention blocks of a slice."""
        return self.block_rows * self.block_columns
