from __future__ import annotations

from itertools import pairwise

import pytest
from flashvsr_client import UsageError
from flashvsr_client.config import Segmentation
from flashvsr_client.segments import CHUNK, DEFAULT_FRAMES, SHORTEST, Segment, cut, extra_share
from hypothesis import given
from hypothesis import strategies as st


@st.composite
def segmentations(draw: st.DrawFn) -> Segmentation:
    overlap = draw(st.integers(0, 64))
    frames = draw(st.none() | st.just(0) | st.integers(2 * (overlap + 1), 2000))
    return Segmentation(frames, overlap, draw(st.integers(0, 100)))


def in_order(segments: tuple[Segment, ...]) -> list[int]:
    """The frames of the finished film: bodies, and each overlap once, where its second segment begins."""
    return [frame for segment in segments for part in (segment.head, segment.body) for frame in part]


@given(st.integers(1, 20_000), segmentations(), st.integers(1, 9))
def test_any_cut_has_every_frame_once_and_no_empty_segment(
    frames: int, segmentation: Segmentation, endpoints: int
) -> None:
    segments = cut(frames, segmentation, endpoints)
    assert in_order(segments) == list(range(frames))
    for segment in segments:
        assert len(segment.body) >= 1
        assert segment.start % CHUNK == 0
        assert segment.start == 0 or segment.first - segment.start >= segmentation.warm_up
        assert segment.first - segment.start < segmentation.warm_up + CHUNK
        assert min(frames, segment.stop + 4) <= segment.feed_stop <= frames
        assert (segment.feed_stop - segment.start - 25) % CHUNK == 0 or segment.feed_stop == frames
    for before, after in pairwise(segments):
        assert before.tail == after.head
        assert len(after.head) == segmentation.overlap


@given(st.integers(1, 20_000), segmentations(), st.integers(1, 9))
def test_segments_are_of_nearly_one_length_and_no_longer_than_asked(
    frames: int, segmentation: Segmentation, endpoints: int
) -> None:
    segments = cut(frames, segmentation, endpoints)
    lengths = [len(segment.head) + len(segment.body) for segment in segments]
    assert max(lengths) - min(lengths) <= 1 + segmentation.overlap
    if segmentation.frames:
        assert max(lengths) <= segmentation.frames + segmentation.overlap
    if segmentation.frames == 0:
        assert len(segments) == 1


@given(st.integers(1, 200_000), st.integers(1, 9))
def test_by_default_the_endpoints_get_equal_numbers_unless_the_film_is_short(frames: int, endpoints: int) -> None:
    segments = cut(frames, Segmentation(), endpoints)
    assert len(segments) % endpoints == 0 or frames < SHORTEST * endpoints * 2
    assert len(segments) == 1 or frames // len(segments) >= SHORTEST
    assert max(len(segment.body) for segment in segments) <= DEFAULT_FRAMES


def test_one_endpoint_and_one_segments_length_is_one_session() -> None:
    (only,) = cut(DEFAULT_FRAMES, Segmentation())
    assert (only.start, only.first, only.stop, only.feed_stop) == (0, 0, DEFAULT_FRAMES, DEFAULT_FRAMES)
    assert len(cut(DEFAULT_FRAMES + 1, Segmentation())) == 2


def test_612_frames_for_two_workers_with_overlap_2_in_parts_of_100() -> None:
    segments = cut(612, Segmentation(100, 2), endpoints=2)
    assert in_order(segments) == list(range(612))
    assert len(segments) == 7


def test_the_extra_frames_of_a_long_film_are_a_few_hundredths() -> None:
    film = 25 * 60 * 60
    assert 0.03 < extra_share(cut(film, Segmentation()), film) < 0.06


@pytest.mark.parametrize(
    ("frames", "overlap", "words"),
    [(-1, 4, "segments of -1 frames"), (9, 4, "give 10 frames or more"), (100, 65, "overlap 65"), (100, -1, "overlap")],
)
def test_a_cut_that_cannot_be_is_refused(frames: int, overlap: int, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Segmentation(frames, overlap)
