"""What is written: codecs, pixels, options, other streams, folders, standard output, the tag, the comparison."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from flashvsr_client import Client, Encoding, InputError, OutputError, Reading, UsageError
from flashvsr_client.cli.main import run
from flashvsr_client.endpoints import Endpoint
from flashvsr_client.media.color import Colors
from flashvsr_client.media.compare import compare
from flashvsr_client.media.decode import decode
from flashvsr_client.media.probe import probe
from flashvsr_client.testing import MockTransport

from tests.unit.client.clips import encoded, number_of, numbered, ramp

OutputContainer = av.container.OutputContainer
MakeClip = Callable[..., Path]


def upscaled(source: Path, target: Path, *, reading: Reading | None = None, scale: int = 2, **encoding: Any) -> Path:
    client = Client(transport=MockTransport())
    client.upscale_file(source, target, scale, encoding=Encoding(**encoding), reading=reading)
    return target


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def codec_and_pixels(path: Path) -> tuple[str, str]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return container.streams.video[0].codec_context.name, frame.format.name


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [
        ("out.mp4", None, ("h264", "yuv420p")),
        ("out.mp4", "libx265", ("hevc", "yuv420p")),
        ("out.mkv", "ffv1", ("ffv1", "yuv420p")),
        ("out.mov", "prores", ("prores", "yuv422p10le")),
        ("out.webm", None, ("libdav1d", "yuv420p")),
        ("out.webm", "vp9", ("vp9", "yuv420p")),
        ("out.mp4", "av1", ("libdav1d", "yuv420p")),
        ("out.y4m", None, ("rawvideo", "yuv420p")),
    ],
)
def test_codecs_and_containers(tmp_path: Path, name: str, codec: str | None, expected: tuple[str, str]) -> None:
    source = encoded(tmp_path / "in.mp4", numbered(5))
    target = upscaled(source, tmp_path / name, codec=codec)
    found = codec_and_pixels(target)
    assert found == expected or (expected[0] == "libdav1d" and found[1] == expected[1])
    frames = list(decode(probe(target)))
    assert [number_of(frame.picture) for frame in frames] == list(range(5))


@pytest.mark.parametrize(
    ("codec", "pixels"), [("libx264", "yuv420p10le"), ("libx265", "yuv420p10le"), ("libsvtav1", "yuv420p10le")]
)
def test_ten_bits_go_through(tmp_path: Path, codec: str, pixels: str) -> None:
    """More levels come out than 8 bits have, and they are where they were."""
    source = encoded(tmp_path / "in.mkv", [ramp(1024)] * 3, pixel_format="yuv420p10le")
    target = upscaled(source, tmp_path / "out.mkv", codec=codec, crf=0 if codec != "libsvtav1" else 4)
    assert codec_and_pixels(target)[1] == pixels
    frame = next(decode(probe(target))).picture
    assert frame.dtype == np.uint16
    assert np.abs(frame[16, ::2, 1].astype(int) - ramp(1024)[0, :, 1]).max() < 3 * 65535 / 876
    assert len(np.unique(frame[16, :, 1])) > 400


@pytest.mark.parametrize(
    ("encoding", "reason"),
    [
        ({"codec": "nothing"}, "codec 'nothing' is no encoder"),
        ({"codec": "aac"}, "is for audio"),
        ({"options": (("tunes", "film"),)}, "libx264 has none of that name; it has tune"),
        ({"codec": "ffv1", "crf": 3}, "ffv1 has no such scale"),
        ({"crf": 60}, "libx264 takes 0 .best. to 51"),
        ({"pixel_format": "rgb24"}, "libx264 takes yuv420p"),
        ({"codec": "libsvtav1", "pixel_format": "yuv444p"}, "libsvtav1 takes"),
        ({"codec": "h264_nvenc", "preset": "fastest"}, "takes .*slow"),
    ],
)
def test_an_option_that_is_wrong_is_refused_before_any_work(
    tmp_path: Path, encoding: dict[str, Any], reason: str
) -> None:
    source, transport = encoded(tmp_path / "in.mp4", numbered(2)), MockTransport()
    with pytest.raises(UsageError, match=reason):
        Client(transport=transport).upscale_file(source, tmp_path / "out.mkv", 2, encoding=Encoding(**encoding))
    assert transport.opened == 0
    assert left_in(tmp_path) == {"in.mp4"}


@pytest.mark.parametrize(
    ("name", "encoding", "reason"),
    [
        ("out.webm", {"codec": "libx264"}, r"webm cannot hold libx264: name the output \.mp4"),
        ("out.mp4", {"preset": "quickest"}, "libx264 refuses .*preset=quickest"),
        ("out.avi", {}, "must end in"),
        ("frames/%06d.jpg", {}, "written as PNG"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(
    tmp_path: Path, name: str, encoding: dict[str, Any], reason: str
) -> None:
    source, transport = encoded(tmp_path / "in.mp4", numbered(2)), MockTransport()
    with pytest.raises(OutputError, match=reason):
        Client(transport=transport).upscale_file(source, tmp_path / name, 2, encoding=Encoding(**encoding))
    assert transport.opened == 0
    assert left_in(tmp_path) == {"in.mp4"}


def test_an_option_of_the_encoder_reaches_it(tmp_path: Path) -> None:
    source = encoded(tmp_path / "in.mp4", numbered(12))
    target = upscaled(source, tmp_path / "out.mp4", options=(("g", "3"),))
    with av.open(str(target)) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert sum(keys) == 4


SECONDS = Fraction(1, 1000)


def everything(path: Path, subtitle: str = "subrip") -> Path:
    """A Matroska file with two subtitles, a font, a cover, chapters and metadata."""
    streams: list[Any] = []

    def around(output: OutputContainer) -> None:
        for language in ("deu", "eng"):
            stream = output.add_mux_stream(subtitle)
            stream.time_base = SECONDS
            stream.metadata.update({"language": language, "title": f"in {language}"})
            stream.disposition = Disposition.default if language == "eng" else Disposition.forced
            streams.append(stream)
        output.add_attachment("font.ttf", "application/x-truetype-font", b"the font")
        output.set_chapters(
            [
                {"id": 1, "start": 0, "end": 400, "time_base": SECONDS, "metadata": {"title": "One"}},
                {"id": 2, "start": 400, "end": 1200, "time_base": SECONDS, "metadata": {"title": "Two"}},
            ]
        )
        output.metadata.update({"title": "A film", "comment": "of mine"})
        output.start_encoding()
        for number, stream in enumerate(streams):
            packet = av.Packet(f"line {number}".encode())
            packet.stream, packet.time_base = stream, SECONDS
            packet.pts = packet.dts = 500
            packet.duration = 300
            output.mux(packet)

    return encoded(path, numbered(30), around=around, aspect=Fraction(4, 3))


def other_packets(path: Path) -> list[tuple[str, int, int, bytes]]:
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == "subtitle"]
        packets = [packet for packet in container.demux(*streams) if packet.size] if streams else []
        return [(p.stream.language or "", p.pts or 0, p.duration or 0, bytes(p)) for p in packets]


def test_everything_beside_the_picture_is_carried_over(tmp_path: Path) -> None:
    source = everything(tmp_path / "in.mkv")
    target = upscaled(source, tmp_path / "out.mkv")
    assert other_packets(target) == other_packets(source)
    assert len(other_packets(target)) == 2
    with av.open(str(source)) as before, av.open(str(target)) as after:
        for kind in ("language", "title"):
            said = [[stream.metadata.get(kind) for stream in one.streams] for one in (before, after)]
            assert said[0] == said[1]
        assert [stream.disposition for stream in after.streams] == [stream.disposition for stream in before.streams]
        assert after.chapters() == before.chapters()
        assert after.metadata["title"] == "A film"
        assert after.metadata["COMMENT"].startswith("of mine | upscaled by flashvsr")
        (font,) = (stream for stream in after.streams if isinstance(stream, av.stream.AttachmentStream))
        assert (font.name, font.data) == ("font.ttf", b"the font")
        assert after.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_a_cut_moves_subtitles_and_chapters_along(tmp_path: Path) -> None:
    source = everything(tmp_path / "in.mkv")
    reading = Reading(start=Fraction("0.4"), duration=Fraction("0.6"))
    target = upscaled(source, tmp_path / "out.mkv", reading=reading)
    assert [(pts, data) for _, pts, _, data in other_packets(target)] == [(100, b"line 0"), (100, b"line 1")]
    with av.open(str(target)) as after:
        chapters = [(c["metadata"]["title"], c["start"] * (c["time_base"] or 1)) for c in after.chapters()]
    assert chapters == [("Two", 0)]
    assert [number_of(frame.picture) for frame in decode(probe(target))] == list(range(10, 25))


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_subtitles_and_fonts_that_have_no_place_are_refused_with_the_remedy(tmp_path: Path, suffix: str) -> None:
    source, transport, target = everything(tmp_path / "in.mkv"), MockTransport(), tmp_path / f"out{suffix}"
    client = Client(transport=transport)
    with pytest.raises(OutputError, match=r"cannot hold the input's subtitle .*name the output \.mkv, or .*--no-sub"):
        client.upscale_file(source, target, 2)
    with pytest.raises(OutputError, match=r"cannot hold the input's attachment \(font.ttf\): .*--no-attachments"):
        client.upscale_file(source, target, 2, encoding=Encoding(subtitles=False))
    assert transport.opened == 0
    client.upscale_file(source, target, 2, encoding=Encoding(subtitles=False, attachments=False))
    with av.open(str(target)) as after:
        assert [chapter["metadata"]["title"] for chapter in after.chapters()] == ["One", "Two"]
        assert after.metadata["title"] == "A film"


def test_several_audio_streams_keep_their_languages(tmp_path: Path) -> None:
    tones: list[Any] = []

    def around(output: OutputContainer) -> None:
        for language in ("fra", "jpn"):
            stream = output.add_stream("pcm_s16le", rate=48000)
            assert isinstance(stream, av.audio.stream.AudioStream)
            stream.layout, stream.metadata["language"] = "mono", language
            tones.append(stream)
        output.start_encoding()
        for number, stream in enumerate(tones):
            frame = av.AudioFrame.from_ndarray(np.full((1, 48000), 100 * number, np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = 48000, 0
            output.mux(stream.encode(frame))

    source = encoded(tmp_path / "in.mkv", numbered(25), around=around)
    target = upscaled(source, tmp_path / "out.mkv")
    with av.open(str(target)) as after:
        assert [stream.language for stream in after.streams.audio] == ["fra", "jpn"]
    report = Client(transport=MockTransport()).upscale_file(source, tmp_path / "b.mkv", 2)
    assert report.audio_streams == 2


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("name", ["frames", "frames/%03d.png"])
def test_a_folder_of_pictures(tmp_path: Path, name: str, depth: int) -> None:
    picture = ramp() if depth == 16 else numbered(1)[0]
    pixels = "yuv444p10le" if depth == 16 else "yuv420p"
    source = encoded(tmp_path / "in.mkv", [picture] * 3, pixel_format=pixels)
    upscaled(source, tmp_path / name)
    digits = 3 if "%" in name else 6
    assert left_in(tmp_path) == {"in.mkv", "frames"}
    assert left_in(tmp_path / "frames") == {f"{number:0{digits}d}.png" for number in (1, 2, 3)}
    info = probe(tmp_path / "frames")
    assert info.depth == depth
    assert np.abs(next(decode(info)).picture[::2, ::2].astype(int) - picture).max() <= 3 * (1 if depth == 8 else 64)


def test_a_folder_is_whole_or_not_there_and_never_loses_what_is_not_ours(tmp_path: Path) -> None:
    source = encoded(tmp_path / "in.mp4", numbered(30))
    folder = tmp_path / "frames"
    transport = MockTransport(error=InputError("broken"), error_after=25)
    with pytest.raises(InputError):
        Client(transport=transport).upscale_file(source, folder, 2)
    assert left_in(tmp_path) == {"in.mp4"}
    upscaled(encoded(tmp_path / "short.mp4", numbered(3)), folder)
    with pytest.raises(OutputError, match="give -y to replace"):
        upscaled(source, folder)
    with pytest.raises(InputError):
        Client(transport=MockTransport(error=InputError("broken"))).upscale_file(
            source, folder, 2, encoding=Encoding(overwrite=True)
        )
    assert len(left_in(folder)) == 3
    upscaled(source, folder, overwrite=True)
    assert len(left_in(folder)) == 30
    (folder / "diary.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"holds other files too, such as diary\.txt"):
        upscaled(source, folder, overwrite=True)
    assert len(left_in(folder)) == 31


def test_one_picture(tmp_path: Path) -> None:
    upscaled(encoded(tmp_path / "one.mp4", numbered(1)), tmp_path / "big.png", scale=3)
    assert next(decode(probe(tmp_path / "big.png"))).picture.shape == (144, 192, 3)
    with pytest.raises(OutputError, match="name a folder"):
        upscaled(encoded(tmp_path / "two.mp4", numbered(2)), tmp_path / "bigger.png")
    assert not (tmp_path / "bigger.png").exists()


def test_the_tag_says_what_made_it_and_can_be_left_out(tmp_path: Path) -> None:
    source = encoded(tmp_path / "in.mp4", numbered(2))
    for suffix in (".mp4", ".mov", ".mkv", ".webm"):
        target = tmp_path / f"out{suffix}"
        Client(transport=MockTransport()).upscale_file(source, target, 2, seed=7)
        with av.open(str(target)) as container:
            said = {key.lower(): value for key, value in container.metadata.items()}
        assert said["comment"] == "upscaled by flashvsr 0.1.0; model mock; scale 2; seed 7"
    target = upscaled(source, tmp_path / "bare.mp4", provenance=False)
    with av.open(str(target)) as container:
        assert "comment" not in container.metadata


def test_the_same_job_gives_the_same_file(tmp_path: Path) -> None:
    source = everything(tmp_path / "in.mkv")
    files = [upscaled(source, tmp_path / f"{name}.mp4", subtitles=False, attachments=False) for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("name", ["compare.png", "compare.mp4"])
def test_a_comparison_has_the_input_left_and_the_result_right(tmp_path: Path, name: str) -> None:
    source = encoded(tmp_path / "in.mp4", numbered(9))
    target = upscaled(source, tmp_path / "out.mp4")
    compare(probe(source), target, tmp_path / name)
    info = probe(tmp_path / name)
    frames = list(decode(info))
    assert (info.width, info.height, len(frames)) == (258, 96, 1 if name.endswith("png") else 9)
    for number, frame in zip([4] if len(frames) == 1 else range(9), frames, strict=True):
        assert number_of(frame.picture[:, :120]) == number_of(frame.picture[:, 140:]) == number


def flashvsr(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("flashvsr_client.client.endpoints_at", lambda *_: (Endpoint("mock", MockTransport()),))
    return run(["upscale", *arguments])


def test_the_command_takes_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = everything(tmp_path / "in.mkv")
    target, beside = tmp_path / "out.mkv", tmp_path / "beside.png"
    arguments = f"{source} -o {target} -c hevc --crf 30 --preset ultrafast -e g=5 --pix-fmt yuv444p --no-subtitles"
    code = flashvsr(monkeypatch, *arguments.split(), "-ss", "0:00.4", "-t", "0.4", "--compare", str(beside))
    assert code == 0, capsys.readouterr().err
    assert codec_and_pixels(target) == ("hevc", "yuv444p")
    assert [number_of(frame.picture) for frame in decode(probe(target))] == list(range(10, 20))
    assert not other_packets(target)
    assert beside.exists()
    assert flashvsr(monkeypatch, str(source), "-o", str(target), "-n") == 4
    assert flashvsr(monkeypatch, str(source), "-o", str(target), "-y", "-e", "nonsense=1") == 2
    assert flashvsr(monkeypatch, str(source), "-o", str(target), "-e", "nonsense") == 2


def test_a_benchmark_writes_nothing_and_says_where_the_time_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = encoded(tmp_path / "in.mp4", numbered(30))
    assert flashvsr(monkeypatch, str(source), "--benchmark", "--scale", "2", "-q") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["decode", "engine", "encode", "all"]
    assert left_in(tmp_path) == {"in.mp4"}


PIPED = (
    "import sys\n"
    "import flashvsr_client.client as client\n"
    "from flashvsr_client.testing import MockTransport\n"
    "from flashvsr_client.cli.main import main\n"
    "from flashvsr_client.endpoints import Endpoint\n"
    "client.endpoints_at = lambda *_: (Endpoint('mock', MockTransport()),)\n"
    "main(sys.argv[1:])\n"
)


def test_frames_flow_from_standard_input_to_standard_output(tmp_path: Path) -> None:
    source = upscaled(encoded(tmp_path / "in.mp4", numbered(30)), tmp_path / "in.y4m")
    command = [sys.executable, "-c", PIPED, "upscale", "-", "-o", "-", "--scale", "2", "-q"]
    done = subprocess.run(command, input=source.read_bytes(), capture_output=True, check=True)
    assert done.stdout.startswith(b"YUV4MPEG2 W256 H192 F25:1 ")
    (tmp_path / "out.y4m").write_bytes(done.stdout)
    assert [number_of(frame.picture) for frame in decode(probe(tmp_path / "out.y4m"))] == list(range(30))
    raw = subprocess.run(
        [*command, "-c", "rawvideo", "--pix-fmt", "rgb24"], input=source.read_bytes(), capture_output=True, check=True
    )
    assert len(raw.stdout) == 30 * 256 * 192 * 3


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="FFmpeg is not on the path")
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.mov", "out.webm"])
def test_ffmpeg_reads_what_is_written(tmp_path: Path, name: str) -> None:
    colors = Colors(9, False, 9, 14)
    source = encoded(tmp_path / "in.mkv", [ramp()] * 10, pixel_format="yuv420p10le", colors=colors)
    target = upscaled(source, tmp_path / name)
    command = ["ffprobe", "-v", "error", "-show_streams", "-count_frames", "-of", "json", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not done.stderr
    (stream,) = json.loads(done.stdout)["streams"]
    said = [stream[key] for key in ("nb_read_frames", "pix_fmt", "color_space", "color_primaries", "color_transfer")]
    assert said == ["10", "yuv420p10le", "bt2020nc", "bt2020", "bt2020-10"]
