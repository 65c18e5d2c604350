from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
import pytest
from flashvsr_client import Client, Encoding, InputError, OutputError, ServerError, pipeline, testing
from flashvsr_client.chunks import Frame
from flashvsr_client.media.decode import TimedFrame, decode
from flashvsr_client.media.probe import VideoInfo
from flashvsr_client.progress import Silent
from flashvsr_client.testing import MockTransport

MakeClip = Callable[..., Path]


def frames_of(path: Path) -> list[Frame]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False) for frame in container.decode(video=0)]


def times_of(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [(frame.pts or 0) * (frame.time_base or Fraction(1)) for frame in container.decode(video=0)]


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("count", [1, 2, 20, 21, 22, 60])
def test_a_file_keeps_its_frames_their_order_and_their_number(make_clip: MakeClip, tmp_path: Path, count: int) -> None:
    source = make_clip(frames=count)
    transport = MockTransport()
    report = Client(transport=transport).upscale_file(source, tmp_path / "out.mp4", scale=2)
    before, after = frames_of(source), frames_of(tmp_path / "out.mp4")
    assert len(after) == len(before) == report.frames == count
    assert after[0].shape == (48, 64, 3)
    for small, large in zip(before, after, strict=True):
        assert abs(small.mean(axis=(0, 1)) - large.mean(axis=(0, 1))).max() < 3
    assert transport.opened == transport.closed == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_uneven_times_are_kept_to_the_tick(make_clip: MakeClip, tmp_path: Path, suffix: str) -> None:
    pts = list(accumulate([0, 3003, 1, 9009, 500, 3003, 7, 12345, 3003, 3003]))
    source = make_clip(pts=pts, time_base=Fraction(1, 90000))
    Client(transport=MockTransport()).upscale_file(source, tmp_path / f"out{suffix}", scale=2)
    assert times_of(tmp_path / f"out{suffix}") == times_of(source) == [Fraction(time, 90000) for time in pts]


def test_times_of_a_matroska_file_are_kept(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mkv", pts=[0, 40, 81, 119, 300], time_base=Fraction(1, 1000))
    Client(transport=MockTransport()).upscale_file(source, tmp_path / "out.mp4", scale=2)
    assert times_of(tmp_path / "out.mp4") == times_of(source)


def test_the_clock_of_a_transport_stream_is_set_to_zero(make_clip: MakeClip, tmp_path: Path) -> None:
    pts = [9_000_000 + 3003 * index for index in range(10)]
    source = make_clip("in.ts", pts=pts, time_base=Fraction(1, 90000))
    start = times_of(source)[0]
    assert start >= 100
    Client(transport=MockTransport()).upscale_file(source, tmp_path / "out.mp4", scale=2)
    assert times_of(tmp_path / "out.mp4") == [time - start for time in times_of(source)]


def test_memory_is_bounded_by_the_limits_and_not_by_the_clip(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the encoder stands still, decoding stops after the first chunk and what the stages may hold."""
    decoded: list[int] = []
    at_rest: list[int] = []

    def counted(info: VideoInfo, depth: int) -> Iterator[TimedFrame]:
        for frame in decode(info, depth=depth):
            decoded.append(frame.moment.pts)
            yield frame

    class Standing(Silent):
        def advance(self) -> None:
            before = -1
            while not at_rest and before != len(decoded):
                before = len(decoded)
                threading.Event().wait(0.2)
            at_rest.append(len(decoded))

    monkeypatch.setattr(pipeline, "decode", counted)
    source = make_clip(frames=200)
    Client(transport=MockTransport()).upscale_file(source, tmp_path / "out.mp4", scale=2, progress=Standing())
    assert len(decoded) == 200
    assert at_rest[0] <= 25 + 8 * 6


class Stopping(Silent):
    """Raises at the fifth frame."""

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self._done = 0

    def advance(self) -> None:
        self._done += 1
        if self._done == 5:
            raise self._error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("disk")])
def test_a_stop_in_the_middle_leaves_nothing_behind(make_clip: MakeClip, tmp_path: Path, error: BaseException) -> None:
    source = make_clip(frames=80)
    transport = MockTransport()
    with pytest.raises(type(error)):
        Client(transport=transport).upscale_file(source, tmp_path / "out.mp4", scale=2, progress=Stopping(error))
    assert left_in(tmp_path) == {"in.mp4"}
    assert transport.opened == transport.closed == 1
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("flashvsr-")]


def test_an_engine_that_fails_leaves_an_older_output_as_it_was(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(frames=60)
    (tmp_path / "out.mp4").write_bytes(b"older")
    transport = MockTransport(error=ServerError("the server failed"), error_after=40)
    with pytest.raises(ServerError, match="failed"):
        Client(transport=transport).upscale_file(source, tmp_path / "out.mp4", encoding=Encoding(overwrite=True))
    assert (tmp_path / "out.mp4").read_bytes() == b"older"
    assert left_in(tmp_path) == {"in.mp4", "out.mp4"}
    assert transport.opened == transport.closed == 1


def test_a_file_that_is_cut_short_gives_no_output(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(frames=60, options={"movflags": "+faststart"})
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 7 // 10])
    transport = MockTransport()
    with pytest.raises(InputError, match="cut short after"):
        Client(transport=transport).upscale_file(source, tmp_path / "out.mp4")
    assert left_in(tmp_path) == {"in.mp4"}
    assert transport.opened == transport.closed == 1


def test_an_engine_that_loses_frames_is_found_out(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testing._MockSession, "finish", lambda self: np.empty((0, 1, 1, 3), np.uint8))
    with pytest.raises(ServerError, match="gave 21 of 30 frames"):
        Client(transport=MockTransport()).upscale_file(make_clip(frames=30), tmp_path / "out.mp4")
    assert left_in(tmp_path) == {"in.mp4"}


def test_existing_output_is_replaced_only_when_asked(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip()
    (tmp_path / "out.mp4").write_bytes(b"precious")
    client = Client(transport=MockTransport())
    with pytest.raises(OutputError, match=r"exists: .* -y"):
        client.upscale_file(source, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == b"precious"
    client.upscale_file(source, tmp_path / "out.mp4", encoding=Encoding(overwrite=True))
    assert len(frames_of(tmp_path / "out.mp4")) == 5


def test_the_input_is_never_overwritten(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip()
    data = source.read_bytes()
    (tmp_path / "link.mp4").symlink_to(source)
    for target in (source, tmp_path / "link.mp4"):
        with pytest.raises(OutputError, match="is the input"):
            Client(transport=MockTransport()).upscale_file(source, target, encoding=Encoding(overwrite=True))
    assert source.read_bytes() == data


@pytest.mark.parametrize(("name", "reason"), [("out.avi", "must end in"), ("no/out.mp4", "not a folder")])
def test_a_bad_output_name_is_refused(make_clip: MakeClip, tmp_path: Path, name: str, reason: str) -> None:
    transport = MockTransport()
    with pytest.raises(OutputError, match=reason):
        Client(transport=transport).upscale_file(make_clip(), tmp_path / name)
    assert transport.opened == 0
