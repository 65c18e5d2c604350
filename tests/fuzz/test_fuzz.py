"""A short run of the fuzzer, and the codec under hypothesis; ``python -m tests.fuzz.run`` is the long one."""

from __future__ import annotations

from flashvsr_proto import wire
from flashvsr_proto.v1 import stream_pb2 as pb
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.run import fuzz


def test_nearly_right_input_is_answered() -> None:
    report = fuzz(inputs=4000, minutes=1, seed=1)
    assert report.inputs > 1000
    assert report.grown_mb < 50
    kinds = set(report.outcomes)
    assert {"codec: decoded", "codec: refused", "service: done", "service: opened"} <= kinds
    assert "service: ERROR_CODE_INTERNAL" not in kinds


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.lists(st.binary(max_size=99))
)
@settings(max_examples=200, deadline=None)
def test_whatever_sizes_are_claimed_nothing_is_allocated_for_them(
    width: int, height: int, count: int, planes: list[bytes]
) -> None:
    for pixel_format in (pb.PIXEL_FORMAT_RGB24, pb.PIXEL_FORMAT_YUV420P):
        message = pb.Frames(pixel_format=pixel_format, width=width, height=height, count=count, planes=planes)
        try:
            pictures = wire.decode(message)
        except wire.WireError:
            continue
        assert pictures.nbytes <= 2 * sum(map(len, planes)) + 64
