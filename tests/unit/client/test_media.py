from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from flashvsr_client import Client, Encoding, InputError, OutputError
from flashvsr_client.media.color import BT709, SMPTE170M, Colors, Converter
from flashvsr_client.media.decode import decode
from flashvsr_client.media.orientation import Orientation
from flashvsr_client.media.probe import probe
from flashvsr_client.testing import MockTransport
from hypothesis import given, settings
from hypothesis import strategies as st

MakeClip = Callable[..., Path]
COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (37, 140, 200)]


def packets_of(path: Path, kind: Literal["audio", "video"]) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.best(kind))
        return [((packet.pts or 0) * packet.time_base, bytes(packet)) for packet in packets if packet.size]


def upscaled(source: Path, target: Path, scale: int = 2, **encoding: object) -> Path:
    Client(transport=MockTransport()).upscale_file(source, target, scale, encoding=Encoding(**encoding))  # type: ignore[arg-type]
    return target


@pytest.mark.parametrize(
    ("matrix", "full", "expected"),
    [(BT709, False, (63, 102, 240)), (SMPTE170M, False, (81, 90, 240)), (BT709, True, (54, 98, 255))],
)
def test_red_is_the_yuv_that_the_standard_says(matrix: int, full: bool, expected: tuple[int, int, int]) -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 255
    frame = Converter(Colors(matrix, full, 2, 2)).from_rgb(red, "yuv420p")
    assert tuple(bytes(plane)[0] for plane in frame.planes) == expected


@given(st.sampled_from([1, 4, 5, 6, 7, 9]), st.booleans(), st.tuples(*[st.integers(0, 255)] * 3))
def test_a_colour_survives_the_way_there_and_back(matrix: int, full: bool, color: tuple[int, int, int]) -> None:
    converter = Converter(Colors(matrix, full, 2, 2))
    picture = np.full((16, 16, 3), color, np.uint8)
    back = converter.to_rgb(converter.from_rgb(picture, "yuv444p"))
    assert np.abs(back.astype(int) - color).max() <= 3


def tagged_clip(path: Path, *, matrix: int, full: bool) -> Path:
    """Colour bars, converted by the numbers of the standard and tagged with them."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"crf": "0"}, width=96, height=32)
        video.pix_fmt = "yuv444p"
        context = video.codec_context
        context.colorspace, context.color_range = matrix, ColorRange.JPEG if full else ColorRange.MPEG
        context.color_primaries, context.color_trc = 9, 14
        bars = np.repeat(np.array(COLORS, np.uint8), 16, axis=0)[None].repeat(32, axis=0)
        for index in range(3):
            frame = Converter(Colors(matrix, full, 9, 14)).from_rgb(bars, "yuv444p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


@pytest.mark.parametrize("matrix", [BT709, SMPTE170M, 9])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_colours_and_their_tags_go_through(tmp_path: Path, matrix: int, full: bool, suffix: str) -> None:
    source = tagged_clip(tmp_path / f"in{suffix}", matrix=matrix, full=full)
    target = upscaled(source, tmp_path / f"out{suffix}", crf=0)
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
        context = container.streams.video[0].codec_context
        tags = (context.colorspace, context.color_range, context.color_primaries, context.color_trc)
    assert tags == (matrix, ColorRange.JPEG if full else ColorRange.MPEG, 9, 14)
    shown = Converter(Colors(matrix, full, 9, 14)).to_rgb(frame)
    for index, color in enumerate(COLORS):
        assert np.abs(shown[32, index * 32 + 16].astype(int) - color).max() <= 4


def test_untagged_colours_go_by_the_size_of_the_source_and_are_tagged(make_clip: MakeClip, tmp_path: Path) -> None:
    target = upscaled(make_clip(frames=1, width=16, height=720), tmp_path / "hd.mp4")
    assert probe(target).colors.matrix == BT709
    target = upscaled(make_clip(frames=1, width=16, height=400), tmp_path / "sd.mp4")  # 800 lines after
    assert probe(target).colors.matrix == SMPTE170M


def test_audio_packets_are_copied_bit_for_bit(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(frames=30, audio="aac")
    for suffix in (".mp4", ".mkv"):
        target = upscaled(source, tmp_path / f"out{suffix}")
        before, after = packets_of(source, "audio"), packets_of(target, "audio")
        assert [data for _, data in after] == [data for _, data in before]
        offsets = {round((late - early) * 1000) for (early, _), (late, _) in zip(before, after, strict=True)}
        assert max(offsets) - min(offsets) <= 1, "Matroska counts in milliseconds"
        if suffix == ".mp4":
            assert after == before


def test_audio_and_video_stay_together(make_clip: MakeClip, tmp_path: Path) -> None:
    """Matroska has no negative times: where audio begins before 0, everything moves by the same amount."""
    source = make_clip(frames=30, audio="aac")
    target = upscaled(source, tmp_path / "out.mkv")
    lag = [packets_of(path, "video")[0][0] - packets_of(path, "audio")[0][0] for path in (source, target)]
    assert abs(lag[1] - lag[0]) <= Fraction(1, 1000)


def test_audio_is_left_out_on_request(make_clip: MakeClip, tmp_path: Path) -> None:
    target = upscaled(make_clip(audio="aac"), tmp_path / "out.mp4", audio=False)
    assert probe(target).audio_codecs == ()


@pytest.mark.parametrize(
    ("source", "codec", "remedy"),
    [
        ("in.mkv", "tta", r"name the output \.mkv, or give --no-audio"),
        ("in.mov", "pcm_mulaw", r"name the output \.mov, or give --no-audio"),
        ("in.avi", "adpcm_ms", "give --no-audio"),
    ],
)
def test_audio_that_the_container_cannot_hold_is_refused_before_any_work(
    make_clip: MakeClip, tmp_path: Path, source: str, codec: str, remedy: str
) -> None:
    transport = MockTransport()
    with pytest.raises(OutputError, match=rf"cannot hold the input's audio \({codec}\): {remedy}"):
        Client(transport=transport).upscale_file(make_clip(source, audio=codec), tmp_path / "out.mp4")
    assert transport.opened == 0
    assert {path.name for path in tmp_path.iterdir()} == {source}


@pytest.mark.parametrize(
    ("width", "height", "scale", "expected"),
    [(101, 77, 3, "yuv444p"), (100, 77, 3, "yuv444p"), (101, 77, 2, "yuv420p"), (100, 78, 3, "yuv420p")],
)
def test_every_pixel_of_an_odd_size_is_kept(
    make_clip: MakeClip, tmp_path: Path, width: int, height: int, scale: int, expected: str
) -> None:
    source = make_clip(frames=2, width=width, height=height, pixel_format="yuv444p")
    target = upscaled(source, tmp_path / "out.mp4", scale)
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
    assert (frame.width, frame.height, frame.format.name) == (width * scale, height * scale, expected)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_rotated_source_becomes_upright_pixels(make_clip: MakeClip, tmp_path: Path, turn: int) -> None:
    plain, turned = make_clip("plain.mp4", frames=1), make_clip("turned.mp4", frames=1, rotation=turn)
    with av.open(str(turned)) as container:
        said = round(next(container.decode(video=0)).rotation / 90)
    assert said % 4 != 0
    upright = next(decode(probe(turned))).picture
    assert np.array_equal(upright, np.rot90(next(decode(probe(plain))).picture, said))
    out = probe(upscaled(turned, tmp_path / "out.mp4"))
    assert (out.height, out.width, out.orientation) == (upright.shape[0] * 2, upright.shape[1] * 2, Orientation())


def test_durations_are_the_time_to_the_next_frame(make_clip: MakeClip) -> None:
    info = probe(make_clip(pts=[0, 3, 4, 10], time_base=Fraction(1, 25)))
    ticks = int(1 / info.time_base / 25)
    moments = [frame.moment for frame in decode(info)]
    assert [moment.pts for moment in moments] == [0, 3 * ticks, 4 * ticks, 10 * ticks]
    assert [moment.duration for moment in moments[:-1]] == [3 * ticks, ticks, 6 * ticks]
    assert moments[-1].duration > 0


def test_a_clip_that_changes_its_size_is_refused(make_clip: MakeClip, tmp_path: Path) -> None:
    parts = [make_clip("a.h264", width=32, height=32), make_clip("b.h264", width=64, height=32)]
    both = tmp_path / "both.h264"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(InputError, match="changes its size from 32x32 to 64x32"):
        list(decode(probe(both)))


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def no_frames(path: Path) -> None:
    path.write_bytes(b"YUV4MPEG2 W32 H32 F25:1 Ip C420\n")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "has no pictures"),
        (lambda path: path.write_bytes(b""), "cannot be read as a video"),
        (lambda path: path.write_text("a shopping list\n" * 100), "cannot be read as a video"),
        (sound_only, "has no video stream .it has audio."),
        (no_frames, "without frames"),
    ],
)
def test_what_is_no_video_is_said_in_one_line(tmp_path: Path, make: Callable[[Path], None], reason: str) -> None:
    source = tmp_path / "in.mp4"
    make(source)
    with pytest.raises(InputError, match=reason) as caught:
        probe(source)
    assert "\n" not in str(caught.value)
    assert str(source) in str(caught.value)


@settings(deadline=None)
@given(st.floats(0.05, 0.95))
def test_no_cut_of_a_file_is_taken_for_the_whole(tmp_path_factory: pytest.TempPathFactory, part: float) -> None:
    folder = tmp_path_factory.mktemp("cut")
    whole = folder / "whole.mp4"
    with av.open(str(whole), "w", options={"movflags": "+faststart"}) as output:
        video = output.add_stream("libx264", rate=25, width=32, height=32)
        for index in range(20):
            output.mux(video.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 10 * index, np.uint8))))
        output.mux(video.encode(None))
    data = whole.read_bytes()
    cut = folder / "cut.mp4"
    cut.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InputError):
        list(decode(probe(cut)))
