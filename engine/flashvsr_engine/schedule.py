"""The schedule: which frames make a chunk, and which frames a chunk makes. Integers only.

Latent j stands for output frames 4j - 3 .. 4j and is conditioned on LQ frames 4j + 1 .. 4j + 4. Chunk 0 makes
latents 0 .. 5 from LQ frames 0 .. 24, so 24 frames of which the first three do not exist: 21. Every later chunk makes
2 latents from 8 further LQ frames: 8 frames. Output trails input by 4 frames; at the end of a stream the last frame is
repeated until a chunk is full and the output is cut back, so that every frame comes out once.
"""

from __future__ import annotations

from dataclasses import dataclass

from flashvsr_engine.errors import ConfigError

LOOK_AHEAD = 4
FIRST_CHUNK = 25
CHUNK = 8
FIRST_LATENTS = 6
CHUNK_LATENTS = 2
FRAMES_PER_LATENT = 4
TRIMMED = 3
MAX_FIRST_FRAME = 1 << 33
FIRST_OUTPUT = FIRST_LATENTS * FRAMES_PER_LATENT - TRIMMED


@dataclass(frozen=True, slots=True)
class Chunk:
    """Chunk number `index` of a stream."""

    index: int

    @property
    def frames_in(self) -> int:
        """LQ frames that it takes beyond the chunk before."""
        return CHUNK if self.index else FIRST_CHUNK

    @property
    def frames_out(self) -> int:
        """Frames that it makes."""
        return CHUNK if self.index else FIRST_OUTPUT

    @property
    def latents(self) -> int:
        """Latents that it makes."""
        return CHUNK_LATENTS if self.index else FIRST_LATENTS

    @property
    def first_latent(self) -> int:
        """Number of its first latent in the stream."""
        return FIRST_LATENTS + CHUNK_LATENTS * (self.index - 1) if self.index else 0


def chunks_for(frames: int) -> int:
    """Chunks of a stream of `frames` frames."""
    if frames <= 0:
        return 0
    return 1 + max(0, -(-(frames - FIRST_OUTPUT) // CHUNK))


def frames_needed(chunks: int) -> int:
    """LQ frames that the first `chunks` chunks take."""
    return FIRST_CHUNK + CHUNK * (chunks - 1) if chunks else 0


def frames_made(chunks: int) -> int:
    """Frames that the first `chunks` chunks make."""
    return FIRST_OUTPUT + CHUNK * (chunks - 1) if chunks else 0


def first_latent(first_frame: int) -> int:
    """Place in the film of latent 0 of a stream whose first frame is the film's frame `first_frame`.

    ConfigError unless it is a multiple of 8, at which the stream's chunks fall where those of the whole film would.
    """
    if first_frame % CHUNK or not 0 <= first_frame <= MAX_FIRST_FRAME:
        raise ConfigError(f"first_frame is {first_frame}; allowed: multiples of {CHUNK} from 0 to {MAX_FIRST_FRAME}.")
    return first_frame // FRAMES_PER_LATENT
