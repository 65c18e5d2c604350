from __future__ import annotations

from flashvsr_engine.schedule import LOOK_AHEAD, TRIMMED, Chunk, chunks_for, frames_made, frames_needed
from hypothesis import given
from hypothesis import strategies as st

FRAMES = st.integers(1, 10**9)


@given(FRAMES)
def test_just_enough_chunks(frames: int) -> None:
    chunks = chunks_for(frames)
    assert frames_made(chunks) >= frames
    assert chunks == 1 or frames_made(chunks - 1) < frames


@given(st.integers(0, 10**8))
def test_chunks_follow_one_another(index: int) -> None:
    chunk, following = Chunk(index), Chunk(index + 1)
    assert following.first_latent == chunk.first_latent + chunk.latents
    assert frames_needed(index + 1) - frames_needed(index) == chunk.frames_in
    assert frames_made(index + 1) - frames_made(index) == chunk.frames_out
    assert frames_needed(index + 1) - frames_made(index + 1) == LOOK_AHEAD
    # Latent j stands for output frames 4j - 3 .. 4j.
    assert 4 * following.first_latent - TRIMMED == frames_made(index + 1)


def test_published_numbers() -> None:
    assert [chunks_for(n) for n in (0, 1, 21, 22, 29, 30)] == [0, 1, 1, 2, 2, 3]
    assert (frames_needed(1), frames_made(1), frames_needed(9), frames_made(9)) == (25, 21, 89, 85)
