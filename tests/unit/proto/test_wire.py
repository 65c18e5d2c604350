"""The codec: exact for RGB24, within measured bounds for YUV420P, one kind of error for everything malformed."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flashvsr_proto import color, wire
from flashvsr_proto.planes import Planes
from flashvsr_proto.v1 import stream_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

Pictures = npt.NDArray[np.uint8]
MATRICES = (pb.COLOR_MATRIX_BT601, pb.COLOR_MATRIX_BT709, pb.COLOR_MATRIX_BT2020)
RANGES = (pb.COLOR_RANGE_LIMITED, pb.COLOR_RANGE_FULL)
SIZES = st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9), st.just(3))
PICTURES = SIZES.flatmap(lambda shape: arrays(np.uint8, shape))


def tags(matrix: pb.ColorMatrix = pb.COLOR_MATRIX_BT709, span: pb.ColorRange = pb.COLOR_RANGE_FULL) -> pb.ColorTags:
    return pb.ColorTags(matrix=matrix, range=span)


@given(PICTURES, st.integers(0, 2**64 - 1))
def test_rgb_round_trip_is_exact(frames: Pictures, first: int) -> None:
    sent = wire.encode(frames, first_frame=first)
    received = wire.parse(pb.Frames, sent.SerializeToString())
    assert received.first_frame == first
    np.testing.assert_array_equal(wire.decode(received), frames)


@given(PICTURES, st.sampled_from(MATRICES), st.sampled_from(RANGES))
def test_yuv_keeps_greys(frames: Pictures, matrix: pb.ColorMatrix, span: pb.ColorRange) -> None:
    greys = np.repeat(frames[..., :1], 3, axis=3)
    decoded = wire.decode(wire.encode(greys, pb.PIXEL_FORMAT_YUV420P, tags(matrix, span)))
    assert decoded.shape == greys.shape
    assert np.abs(decoded.astype(int) - greys).max(initial=0) <= 1


@given(st.tuples(*[st.integers(0, 255)] * 3), st.integers(1, 7), st.integers(1, 7), st.sampled_from(MATRICES))
def test_yuv_keeps_flat_colours_within_two_steps(
    colour: tuple[int, int, int], width: int, height: int, matrix: pb.ColorMatrix
) -> None:
    frames = np.full((2, height, width, 3), colour, np.uint8)
    for span in RANGES:
        decoded = wire.decode(wire.encode(frames, pb.PIXEL_FORMAT_YUV420P, tags(matrix, span)))
        assert np.abs(decoded.astype(int) - frames).max() <= (1 if span == pb.COLOR_RANGE_FULL else 2)


def test_known_colours() -> None:
    red = np.full((1, 2, 2, 3), (255, 0, 0), np.uint8)
    for matrix, expected in ((pb.COLOR_MATRIX_BT709, (63, 102, 240)), (pb.COLOR_MATRIX_BT601, (81, 90, 240))):
        message = wire.encode(red, pb.PIXEL_FORMAT_YUV420P, tags(matrix, pb.COLOR_RANGE_LIMITED))
        assert tuple(plane[0] for plane in message.planes) == expected


def test_a_ramp_survives_the_chroma_planes() -> None:
    """Chroma sited at the centres and bilinear: a linear ramp comes back straight. Replicated chroma is 6 steps off."""
    ramp = np.arange(0, 256, 8, dtype=np.uint8)
    frame = np.zeros((1, 16, 32, 3), np.uint8)
    frame[..., 2] = ramp
    frame[..., 0] = 255 - ramp
    for turned in (frame, frame.transpose(0, 2, 1, 3)):
        decoded = wire.decode(wire.encode(turned, pb.PIXEL_FORMAT_YUV420P, tags()))
        assert np.abs(decoded.astype(int) - turned)[:, 1:-1, 1:-1].max() <= 1


def test_unspecified_tags_follow_the_height() -> None:
    for height, matrix in ((719, pb.COLOR_MATRIX_BT601), (720, pb.COLOR_MATRIX_BT709)):
        message = wire.encode(np.zeros((1, height, 2, 3), np.uint8), pb.PIXEL_FORMAT_YUV420P)
        assert message.color == tags(matrix, pb.COLOR_RANGE_LIMITED)


def malformed(**changes: Any) -> pb.Frames:
    message = wire.encode(np.zeros((2, 3, 5, 3), np.uint8), pb.PIXEL_FORMAT_YUV420P)
    for name, value in changes.items():
        if name == "planes":
            message.ClearField("planes")
            message.planes.extend(value)
        else:
            setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (malformed(width=0), "picture of 0x3"),
        (malformed(height=wire.MAX_SIDE + 1), "16385"),
        (malformed(pixel_format=0), "pixel_format 0"),
        (malformed(pixel_format=99), "pixel_format 99"),
        (malformed(count=3), "take 45"),
        (malformed(count=2**32 - 1), "4294967295 frames"),
        (malformed(planes=[b""]), "1 planes"),
        (malformed(planes=[bytes(30), bytes(12), bytes(11)]), "plane of 11 bytes"),
        (malformed(pixel_format=pb.PIXEL_FORMAT_RGB24), "3 planes"),
    ],
)
def test_malformed_messages_are_named(message: pb.Frames, text: str) -> None:
    with pytest.raises(wire.WireError, match=text):
        wire.decode(message)


@pytest.mark.parametrize(("field", "value"), [("matrix", 9), ("range", 7)])
def test_unknown_colour_tags_are_refused(field: str, value: int) -> None:
    message = malformed()
    setattr(message.color, field, value)
    with pytest.raises(wire.WireError, match=f"color.{field} {value}"):
        wire.decode(message)


@given(
    st.builds(
        pb.Frames,
        pixel_format=st.integers(0, 4),
        width=st.integers(0, 2**32 - 1) | st.integers(0, 4),
        height=st.integers(0, 2**32 - 1) | st.integers(0, 4),
        count=st.integers(0, 2**32 - 1) | st.integers(0, 4),
        color=st.builds(pb.ColorTags, matrix=st.integers(0, 9), range=st.integers(0, 9)),
        planes=st.lists(st.binary(max_size=48), max_size=4),
    )
)
def test_any_message_gives_frames_or_a_wire_error(message: pb.Frames) -> None:
    try:
        frames = wire.decode(message)
    except wire.WireError:
        return
    assert frames.shape == (message.count, message.height, message.width, 3)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_wire_error(data: bytes) -> None:
    try:
        message = wire.parse(pb.StreamRequest, data)
    except wire.WireError:
        return
    assert isinstance(message, pb.StreamRequest)


@pytest.mark.parametrize(
    ("frames", "first", "text"),
    [
        (np.zeros((1, 2, 2, 3), np.float32), 0, "float32"),
        (np.zeros((2, 2, 3), np.uint8), 0, r"\[2, 2, 3\]"),
        (np.zeros((1, 2, 2, 4), np.uint8), 0, r"\[1, 2, 2, 4\]"),
        (np.zeros((1, 0, 2, 3), np.uint8), 0, "picture of 2x0"),
        (np.zeros((wire.MAX_FRAMES + 1, 1, 1, 3), np.uint8), 0, "4097 frames"),
        (np.zeros((1, 2, 2, 3), np.uint8), -1, "first_frame -1"),
    ],
)
def test_arrays_that_cannot_be_sent_are_named(frames: Any, first: int, text: str) -> None:
    with pytest.raises(wire.WireError, match=text):
        wire.encode(frames, first_frame=first)


@given(SIZES.flatmap(lambda shape: arrays(np.uint16, shape)))
def test_sixteen_bits_round_trip_is_exact_and_little_endian(frames: npt.NDArray[np.uint16]) -> None:
    sent = wire.encode(frames, pb.PIXEL_FORMAT_RGB48LE)
    assert sent.planes[0] == b"".join(int(value).to_bytes(2, "little") for value in frames.flat)
    received = wire.decode(wire.parse(pb.Frames, sent.SerializeToString()))
    assert received.dtype == np.uint16
    np.testing.assert_array_equal(received, frames)


@pytest.mark.parametrize(
    ("sample", "pixel_format", "wanted"),
    [(np.uint8, pb.PIXEL_FORMAT_RGB48LE, "uint16"), (np.uint16, pb.PIXEL_FORMAT_RGB24, "uint8")],
)
def test_frames_of_the_other_width_are_refused(sample: type, pixel_format: pb.PixelFormat, wanted: str) -> None:
    with pytest.raises(wire.WireError, match=f"give {wanted}"):
        wire.encode(np.zeros((1, 2, 2, 3), sample), pixel_format)


def test_planes_travel_as_the_frames_that_they_were_made_of() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 7, 9, 3), np.uint8)
    color_tags = pb.ColorTags(matrix=pb.COLOR_MATRIX_BT709, range=pb.COLOR_RANGE_LIMITED)
    planes = Planes.of(frames, color.matrix(color_tags))
    assert wire.encode(planes, pb.PIXEL_FORMAT_YUV420P, color_tags, 5) == wire.encode(
        frames, pb.PIXEL_FORMAT_YUV420P, color_tags, 5
    )
    assert len(planes[1:]) == 2
    with pytest.raises(wire.WireError, match="give RGB frames"):
        wire.encode(planes, pb.PIXEL_FORMAT_RGB24)
