"""What is read: part of a file, any frame of it, folders, standard input, turned, deep and interlaced sources."""

from __future__ import annotations

import io
import subprocess
import sys
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from flashvsr_client import InputError, Reading, UsageError
from flashvsr_client.chunks import Frame
from flashvsr_client.media.color import Colors, Converter
from flashvsr_client.media.decode import decode
from flashvsr_client.media.index import index_of
from flashvsr_client.media.png import png
from flashvsr_client.media.probe import probe
from flashvsr_client.media.stdin import Pipe
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.unit.client.clips import encoded, moving, number_of, numbered, ramp


def samples(frame: av.VideoFrame, sample: type[np.unsignedinteger], plane: int = 0) -> npt.NDArray[Any]:
    """The numbers of a plane, those behind the ends of the rows included."""
    return np.frombuffer(bytes(frame.planes[plane]), sample)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same 44 frames with B-frames, open and closed groups of pictures."""
    folder = tmp_path_factory.mktemp("films")
    options = {"crf": "4", "g": "10", "bf": "3"}
    return {
        "mp4": encoded(folder / "a.mp4", numbered(44), options=options),
        "mkv": encoded(folder / "a.mkv", numbered(44), options=options),
        "open": encoded(folder / "b.mp4", numbered(44), options={**options, "x264-params": "open-gop=1"}),
        "hevc": encoded(
            folder / "c.mp4",
            numbered(44),
            codec="libx265",
            options={"crf": "4", "x265-params": "keyint=10:min-keyint=10:open-gop=1:log-level=error"},
        ),
        "refresh": encoded(folder / "d.mp4", numbered(44), options={**options, "x264-params": "intra-refresh=1"}),
        "ts": encoded(folder / "a.ts", numbered(44), options=options),
    }


@pytest.mark.parametrize("kind", ["mp4", "mkv", "open", "hevc", "refresh", "ts"])
@settings(max_examples=12, deadline=None)
@given(first=st.integers(0, 50), count=st.none() | st.integers(0, 20))
def test_any_range_of_a_film_is_what_it_is_in_the_whole(
    films: dict[str, Path], kind: str, first: int, count: int | None
) -> None:
    info = probe(films[kind])
    whole = list(decode(info))
    assert [frame.number for frame in whole] == [number_of(frame.picture) for frame in whole] == list(range(44))
    wanted = whole[first:] if count is None else whole[first : first + count]
    for index in (None, index_of(info)):
        found = list(decode(info, first, count, index))
        assert [frame.number for frame in found] == [frame.number for frame in wanted]
        assert [frame.moment for frame in found] == [frame.moment for frame in wanted]
        for one, other in zip(found, wanted, strict=True):
            assert np.array_equal(one.picture, other.picture)


def test_an_index_is_made_only_where_packets_tell_the_frames(films: dict[str, Path]) -> None:
    index = index_of(probe(films["mp4"]))
    assert index is not None
    assert len(index) == 44
    assert len(index.keys) == 5
    assert index_of(probe(films["ts"])) is None


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(
    ("start", "duration", "expected"),
    [
        ("0", "0.4", range(10)),
        ("0.4", None, range(10, 44)),
        ("0.41", "0.08", range(11, 13)),
        ("1.7", "9", range(43, 44)),
    ],
)
def test_a_part_of_a_film_is_cut_to_the_frame(
    films: dict[str, Path], kind: str, start: str, duration: str | None, expected: range
) -> None:
    reading = Reading(start=Fraction(start), duration=None if duration is None else Fraction(duration))
    info = probe(films[kind], reading)
    frames = list(decode(info))
    assert [number_of(frame.picture) for frame in frames] == list(expected)
    assert [frame.number for frame in frames] == list(range(len(expected)))
    assert 0 <= frames[0].moment.pts * info.time_base < Fraction(1, 25)
    if (index := index_of(info)) is not None:
        assert len(index) == len(expected)
        second = list(decode(info, 1, 1, index))
        assert [frame.moment for frame in second] == [frame.moment for frame in frames[1:2]]


@pytest.mark.parametrize(("start", "duration"), [("60", None), ("0.001", "0.01")])
def test_a_cut_without_frames_is_said(films: dict[str, Path], start: str, duration: str | None) -> None:
    reading = Reading(start=Fraction(start), duration=None if duration is None else Fraction(duration))
    with pytest.raises(InputError, match="has no frame in the part"):
        list(decode(probe(films["mp4"], reading)))


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    for number, picture in enumerate(numbered(12), 1):
        (tmp_path / f"frame{number}.png").write_bytes(png(picture))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".frame0.png").write_bytes(b"of a file manager")
    info = probe(tmp_path, Reading(fps=Fraction(30000, 1001)))
    assert (info.frames, info.rate, info.width, info.height) == (12, Fraction(30000, 1001), 64, 48)
    frames = list(decode(info))
    assert [number_of(frame.picture) for frame in frames] == list(range(12))
    assert [frame.moment.pts * info.time_base for frame in frames] == [n * Fraction(1001, 30000) for n in range(12)]
    assert [number_of(frame.picture) for frame in decode(info, 5, 3)] == [5, 6, 7]
    part = probe(tmp_path, Reading(fps=Fraction(25), start=Fraction("0.2"), duration=Fraction("0.12")))
    assert [number_of(frame.picture) for frame in decode(part)] == [5, 6, 7]


def test_a_folder_of_several_sizes_is_refused_with_the_place(tmp_path: Path) -> None:
    for number, width in enumerate((64, 64, 32)):
        (tmp_path / f"{number}.png").write_bytes(png(numbered(1, width)[0]))
    with pytest.raises(InputError, match="changes its size from 64x48 to 32x48"):
        list(decode(probe(tmp_path)))


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(png(numbered(1)[0]))
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(InputError, match=r"1\.png cannot be read as a picture"):
        list(decode(probe(tmp_path)))


@pytest.mark.parametrize("depth", [8, 16])
def test_a_still_picture_is_one_frame(tmp_path: Path, depth: int) -> None:
    picture = ramp() if depth == 16 else numbered(1)[0]
    (tmp_path / "still.png").write_bytes(png(picture))
    info = probe(tmp_path / "still.png")
    (frame,) = decode(info)
    assert info.depth == depth
    assert np.array_equal(frame.picture, picture)


def test_a_jpeg_is_read_as_jpegs_are(tmp_path: Path) -> None:
    """JFIF is BT.601 of full range, however many lines it has."""
    red = np.zeros((720, 16, 3), np.uint8)
    red[..., 0] = 255
    encoded(
        tmp_path / "red.jpg", [red], codec="mjpeg", pixel_format="yuvj444p", options={}, colors=Colors(5, True, 2, 2)
    )
    (frame,) = decode(probe(tmp_path / "red.jpg"))
    assert np.abs(frame.picture[360, 8].astype(int) - (255, 0, 0)).max() <= 3


def test_a_photograph_with_exif_is_read_and_turned(tmp_path: Path) -> None:
    """PyAV does not know EXIF as side data, and then gives none."""
    wide = Image.fromarray(np.repeat(ramp(48, 32)[..., :1] // 257, 3, axis=2).astype(np.uint8))
    exif = Image.Exif()
    for number in range(1, 9):
        exif[0x0112] = number  # orientation
        wide.save(tmp_path / "photo.jpg", quality=100, exif=exif)
        wide.save(tmp_path / "photo.tif", exif=exif)
        probe(tmp_path / "photo.tif")
        if number in (1, 3, 6, 8):  # turned and not mirrored, as cameras do
            expected = ImageOps.exif_transpose(Image.open(tmp_path / "photo.jpg"))
            shown = next(decode(probe(tmp_path / "photo.jpg"))).picture
            assert shown.shape[1::-1] == expected.size
            assert np.abs(shown.astype(int) - np.asarray(expected)).max() <= 3


@pytest.mark.parametrize("name", ["grey.png", "grey.jpg", "grey.gif", "grey.bmp"])
def test_grey_pictures_are_of_full_range(tmp_path: Path, name: str) -> None:
    grey = ramp(48, 32)[..., 0] // 257
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / name)
    assert np.abs(next(decode(probe(tmp_path / name))).picture[..., 1].astype(int) - grey).max() <= 3


MATRICES = [(a, b, c, d) for s in (1, -1) for t in (1, -1) for a, b, c, d in ((s, 0, 0, t), (0, s, t, 0))]


@pytest.mark.parametrize("matrix", MATRICES)
def test_every_display_matrix_is_applied(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    """A point (x, y) of the stored picture is shown at (a x + c y, b x + d y), moved into the picture."""
    a, b, c, d = matrix
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:16, :16] = 200

    def turn(output: av.container.OutputContainer) -> None:
        output.streams.video[0].set_display_matrix([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30])

    info = probe(encoded(tmp_path / "in.mp4", [picture], around=turn))
    shown = next(decode(info)).picture
    assert shown.shape == ((48, 32, 3) if b else (32, 48, 3))
    y, x = np.argwhere(shown[..., 0] > 100).mean(axis=0)
    height, width = shown.shape[:2]
    expected_x = a * 7.5 + c * 7.5 + (width - 1 if a + c < 0 else 0)
    expected_y = b * 7.5 + d * 7.5 + (height - 1 if b + d < 0 else 0)
    assert (round(float(x), 1), round(float(y), 1)) == (expected_x, expected_y)


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv444p12le"])
@pytest.mark.parametrize("full", [False, True])
def test_deep_levels_are_exact(pixel_format: str, full: bool) -> None:
    """Black is 0 and white 65535, and every level of the format survives."""
    converter, picture = Converter(Colors(1, full, 2, 2)), ramp(1024)
    there = converter.from_rgb(picture, pixel_format)
    bits = there.format.components[0].bits
    black, white = (0, (1 << bits) - 1) if full else (16 << bits - 8, 235 << bits - 8)
    luma = samples(there, np.uint16).reshape(32, -1)[0, :1024]
    assert (luma[0], luma[-1]) == (black, white)
    exact = black + picture[0, :, 0] / 65535 * (white - black)
    assert np.abs(luma - exact).max() <= 1
    back = converter.to_rgb(there, 16)
    step = 1 << 16 - bits
    assert back[0, 0].max() <= (2 * step if full else 0), "rounded chroma shows in full range"
    assert back[0, -1].min() >= 65535 - (2 * step if full else 0)
    again = samples(converter.from_rgb(back, pixel_format), np.uint16).reshape(32, -1)[0, :1024]
    assert np.abs(again.astype(int) - luma).max() <= (1 if bits == 12 or full else 0)


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_video_of_limited_range_is_stretched(depth: int) -> None:
    frame = av.VideoFrame(32, 32, "gray" if depth == 8 else "gray10le")
    level = np.full(frame.planes[0].buffer_size // (depth // 8), 235 if depth == 8 else 940, f"uint{depth}")
    frame.planes[0].update(level.tobytes())
    assert Converter(Colors(1, False, 2, 2)).to_rgb(frame, depth).max() == (1 << depth) - 1


def test_interlaced_sources_are_refused_and_flagged_whole_pictures_are_not(tmp_path: Path) -> None:
    options = {"crf": "10", "x264-params": "interlaced=1"}
    with pytest.raises(InputError, match=r"is interlaced: .* bwdif"):
        probe(encoded(tmp_path / "fields.mp4", moving(fields=True), options=options))
    probe(encoded(tmp_path / "flagged.mp4", moving(fields=False), options=options))


def y4m(pictures: list[Frame]) -> bytes:
    height, width = pictures[0].shape[:2]
    converter, parts = Converter(Colors(6, False, 2, 2)), [f"YUV4MPEG2 W{width} H{height} F25:1 Ip C444\n".encode()]
    for picture in pictures:
        frame = converter.from_rgb(picture, "yuv444p")
        planes = [samples(frame, np.uint8, plane).reshape(height, -1)[:, :width].tobytes() for plane in range(3)]
        parts += [b"FRAME\n", *planes]
    return b"".join(parts)


def test_standard_input_is_looked_at_and_then_read_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(y4m(numbered(40)))))
    info = probe(Path("-"))
    assert (info.width, info.height, info.rate) == (64, 48, Fraction(25))
    assert [number_of(frame.picture) for frame in decode(info)] == list(range(40))


def test_raw_video_is_read_as_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = np.stack(numbered(5)).tobytes()
    reading = Reading(fps=Fraction(50), size=(64, 48), pixel_format="rgb24")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    (tmp_path / "in.rgb").write_bytes(data)
    for path in (Path("-"), tmp_path / "in.rgb"):
        info = probe(path, reading)
        assert info.rate == 50
        assert [number_of(frame.picture) for frame in decode(info)] == list(range(5))


@pytest.mark.parametrize("data", [b"", b"no film at all" * 100])
def test_what_is_no_y4m_is_said(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(InputError, match=r"standard input cannot be read as a video .*--pix-fmt-in"):
        probe(Path("-"))


@given(st.lists(st.integers(1, 9), max_size=8), st.binary(max_size=30))
def test_a_pipe_gives_every_byte_once_after_it_was_rewound(sizes: list[int], data: bytes) -> None:
    pipe = Pipe(io.BytesIO(data))
    seen = b"".join(pipe.read(size) for size in sizes)
    assert data.startswith(seen)
    pipe.rewind()
    assert b"".join(iter(lambda: pipe.read(4), b"")) == data


@pytest.mark.parametrize(
    "values",
    [{"hdr": "maybe"}, {"fps": Fraction(0)}, {"start": Fraction(-1)}, {"duration": Fraction(0)}, {"size": (64, 48)}],
)
def test_a_reading_that_makes_no_sense_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Reading(**values)  # type: ignore[arg-type]


def test_a_long_film_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from flashvsr_client import Client\n"
        "from flashvsr_client.testing import MockTransport\n"
        "Client(transport=MockTransport()).upscale_file(sys.argv[1], sys.argv[2], 2)\n"
        "status = dict(line.split(':', 1) for line in Path('/proc/self/status').read_text().splitlines())\n"
        "print(status['VmHWM'].split()[0])\n"
    )
    peaks = []
    for count in (150, 1200):
        source = encoded(tmp_path / f"{count}.mp4", numbered(count, 320, 176), options={"preset": "ultrafast"})
        command = [sys.executable, "-c", code, str(source), str(tmp_path / f"{count}out.mp4")]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    assert peaks[1] < peaks[0] + 80_000, "kB; the frames that it makes are 811,000"


def test_ranges_stop_reading_where_they_end(films: dict[str, Path]) -> None:
    assert len(list(islice(decode(probe(films["mp4"]), 3, 5), 100))) == 5
