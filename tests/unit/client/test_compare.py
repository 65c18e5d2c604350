"""Figures against their definitions, FFmpeg's and scikit-image's; films that do not fit; what is written."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which

import av
import numpy as np
import pytest
from flashvsr_client.chunks import Frame
from flashvsr_client.cli.main import run
from flashvsr_client.compare import measure, metrics, pairs, vmaf
from flashvsr_client.compare.montage import Crop
from flashvsr_client.errors import InputError, UsageError
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.unit.client.conftest import picture

MakeClip = Callable[..., Path]


def film(path: Path, frames: list[Frame]) -> Path:
    """A lossless film."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25, width=width, height=height)
        stream.pix_fmt = "bgr0"
        for frame in frames:
            output.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame, np.uint8)).reformat(format="bgr0"))
            )
        output.mux(stream.encode(None))
    return path


def noisy(frames: list[Frame], spread: int) -> list[Frame]:
    noise = np.random.default_rng(0)
    return [(f + noise.integers(-spread, spread + 1, f.shape)).clip(0, 255).astype(np.uint8) for f in frames]


def texture(index: int, width: int, height: int) -> Frame:
    """A detailed picture that moves by two pixels a frame."""
    noise = np.random.default_rng(7).integers(0, 256, (height // 2 + 8, width // 2 + 8, 3), np.uint8)
    return pairs.resized(noise, width + 16, height + 16)[index : index + height, 2 * index : 2 * index + width]


@pytest.fixture
def truth() -> list[Frame]:
    return [texture(index, 64, 48) for index in range(6)]


@given(st.integers(0, 255), st.integers(0, 255))
def test_psnr_is_that_of_its_definition(one: int, other: int) -> None:
    a, b = (metrics.luma(np.full((12, 12, 3), level, np.uint8)) for level in (one, other))
    step = abs(one - other) * 219 / 255
    expected = 100.0 if one == other else 20 * np.log10(255 / step)
    assert metrics.psnr(a, b) == pytest.approx(expected, abs=1e-3)
    assert metrics.psnr(a, b) == metrics.psnr(b, a)


def test_luma_goes_from_16_to_235() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]], np.uint8)
    assert metrics.luma(colours)[0] == pytest.approx([16, 235, 81.481], abs=1e-3)


@pytest.mark.skipif(which("ffmpeg") is None, reason="ffmpeg is not on PATH")
def test_psnr_and_ssim_are_near_ffmpegs(make_clip: MakeClip, tmp_path: Path) -> None:
    a, b = make_clip("a.mp4", frames=4, width=96, height=64), tmp_path / "b.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", a, "-vf", "noise=c0s=12", "-qp", "0", b], check=True)
    found = measure.compare(a, b).means[0]
    told = subprocess.run(
        ["ffmpeg", "-hide_banner", "-i", b, "-i", a, "-lavfi", "psnr;[0:v][1:v]ssim", "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    psnr, ssim = (float(re.search(rf"{name}.*? [yY]:([\d.]+)", told)[1]) for name in ("PSNR", "SSIM"))  # type: ignore[index]
    assert found.psnr == pytest.approx(psnr, abs=0.5)
    assert found.ssim == pytest.approx(ssim, abs=0.05)  # FFmpeg's window is 8 x 8 and flat


def test_a_still_error_has_no_temporal_error(truth: list[Frame]) -> None:
    darker = [(frame // 2).astype(np.uint8) for frame in [truth[0]] * 4]
    flickering = [frame if index % 2 else truth[0] for index, frame in enumerate(darker)]
    rows = list(measure.scored((truth[0], [d, f]) for d, f in zip(darker, flickering, strict=True)))
    steady, flicker = measure.means(rows)
    assert steady.temporal == 0.0
    assert flicker.temporal is not None
    assert flicker.temporal > 10
    assert rows[0][0].temporal is None


def test_the_better_film_scores_better(truth: list[Frame], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = film(tmp_path / "small.mkv", [pairs.resized(frame, 32, 24) for frame in truth])
    good, right = film(tmp_path / "good.mkv", noisy(truth, 1)), film(tmp_path / "right.mkv", truth)
    rows, curves, sheet = tmp_path / "rows.csv", tmp_path / "curves.svg", tmp_path / "sheet.png"
    outputs = ["--csv", str(rows), "--plot", str(curves), "--montage", str(sheet), "--crop", "32x16+8+8"]
    command = ["compare", str(small), str(good), "--reference", str(right)]
    assert run([*command, *outputs]) == 0
    said = capsys.readouterr().out
    assert re.search(r"Y-PSNR, dB +[\d.]+ +[\d.]+ +\+[\d.]+\n", said)
    assert "6 frames of 64x48 against" in said
    assert "small.mkv is 32x24: enlarged 2 times by bicubic interpolation" in said
    table = list(csv.DictReader(rows.open()))
    assert [int(row["frame"]) for row in table] == list(range(6))
    assert all(float(row["psnr_B"]) > float(row["psnr_A"]) for row in table)
    assert table[0]["temporal_A"] == ""
    assert "<svg" in curves.read_text()
    with Image.open(sheet) as opened:
        assert opened.size == (3 * 32, 16 + 28)
    assert run([*command, "--csv", str(rows)]) == 4
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["frames"]) == 6
    assert found["means"][1]["ssim"] > found["means"][0]["ssim"]


def test_a_montage_is_in_the_size_of_the_largest(truth: list[Frame], tmp_path: Path) -> None:
    small = film(tmp_path / "small.mkv", truth)
    large = film(tmp_path / "large.mkv", [pairs.resized(frame, 128, 96) for frame in truth])
    sheet = tmp_path / "sheet.png"
    assert run(["compare", str(small), str(large), "--montage", str(sheet), "--frame", "2"]) == 0
    with Image.open(sheet) as opened:
        assert opened.size == (2 * 128, 96 + 28)
        shown = np.asarray(opened)
    np.testing.assert_array_equal(shown[28:, 128:], pairs.resized(truth[2], 128, 96))
    assert run(["compare", str(small), str(large), "--montage", str(sheet), "--frame", "6", "-y"]) == 2


def test_without_a_reference_the_output_is_measured_against_its_input(truth: list[Frame], tmp_path: Path) -> None:
    small = film(tmp_path / "small.mkv", truth)
    large = film(tmp_path / "large.mkv", [pairs.resized(frame, 192, 144) for frame in truth])
    found = measure.compare(small, large)
    assert found.subjects == (str(large),)
    assert found.size == (64, 48)
    assert found.means[0].psnr > 35
    assert any("shrunk to 64x48" in note for note in found.notes)


def test_equal_films_are_equal(truth: list[Frame], tmp_path: Path) -> None:
    one, other = (film(tmp_path / name, truth) for name in ("one.mkv", "other.mkv"))
    (means,) = measure.compare(one, other).means
    assert (means.psnr, means.temporal) == (100.0, 0.0)
    assert means.ssim == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("frames", "size", "text"),
    [(5, (64, 48), r"has 6 frames.*has 5 frames"), (6, (60, 48), r"60x48 .* whole factor"), (6, (8, 8), "11 pixels")],
)
def test_films_that_do_not_fit_are_refused(
    truth: list[Frame], tmp_path: Path, frames: int, size: tuple[int, int], text: str
) -> None:
    right = film(tmp_path / "right.mkv", truth)
    wrong = film(tmp_path / "wrong.mkv", [picture(index, *size) for index in range(frames)])
    a, b = (wrong, wrong) if size == (8, 8) else (right, wrong)
    with pytest.raises(InputError, match=text):
        measure.compare(a, b)


@pytest.mark.parametrize("text", ["", "10", "0x5", "axb", "10x10+1", "10x10+1+x", "10x10+-1+0"])
def test_a_crop_that_is_none_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="crop"):
        Crop.parse(text)


@given(st.integers(1, 80), st.integers(1, 80), st.integers(0, 80), st.integers(0, 80))
def test_a_crop_is_within_the_picture(width: int, height: int, left: int, top: int) -> None:
    shown = picture(0, 64, 48)
    crop = Crop.parse(f"{width}x{height}+{left}+{top}")
    if left + min(width, 64) > 64 or top + min(height, 48) > 48:
        with pytest.raises(UsageError, match="passes the picture"):
            crop.of(shown)
    else:
        assert crop.of(shown).shape == (min(height, 48), min(width, 64), 3)


def test_options_that_cannot_be_are_said_before_the_films_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for options, code, text in (
        (["--plot", "a.jpg"], 2, ".svg or .png"),
        (["--montage", "a.svg"], 2, ".png"),
        (["--csv", "nowhere/a.csv"], 4, "no folder"),
        (["--frame", "-1"], 2, "0 or more"),
        (["--vmaf"], 2, "libvmaf"),
        (["--reference", "-"], 3, "more than once"),
    ):
        assert run(["compare", "missing.mp4", "missing.mp4", *options]) == code
        assert text in capsys.readouterr().err


def test_films_are_never_overwritten_nor_two_outputs_written_as_one(
    truth: list[Frame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = film(tmp_path / "source.mkv", truth)
    named = source.rename(tmp_path / "source.svg")
    before = named.read_bytes()
    command = ["compare", str(named), str(named), "-y"]
    assert run([*command, "--plot", str(tmp_path / "." / "source.svg")]) == 4
    assert "never overwritten" in capsys.readouterr().err
    assert named.read_bytes() == before
    one = str(tmp_path / "one.png")
    assert run([*command, "--plot", one, "--montage", one]) == 4
    assert "two outputs" in capsys.readouterr().err


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """One that has libvmaf, and is the first on PATH."""
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="its ffmpeg has libvmaf")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    found = vmaf.offered()
    assert found is not None
    return found


def blurred(frames: list[Frame]) -> list[Frame]:
    height, width = frames[0].shape[:2]
    return [pairs.resized(pairs.resized(frame, width // 4, height // 4), width, height) for frame in frames]


def vmafs(a: Path, b: Path, reference: Path, ffmpeg: str) -> list[list[float | None]]:
    rows = measure.compare(a, b, reference, ffmpeg).rows
    return [[row[place].vmaf for row in rows] for place in (0, 1)]


def test_vmaf_of_each_frame_is_ffmpegs_own(ffmpeg: str, tmp_path: Path) -> None:
    sharp = [texture(index, 255, 191) for index in range(5)]
    right, worse = film(tmp_path / "right.mkv", sharp), film(tmp_path / "worse.mkv", blurred(sharp))
    ours, equal = vmafs(worse, right, right, ffmpeg)
    chain = "[0:v]format=yuv444p[a];[1:v]format=yuv444p[b];[a][b]libvmaf=log_fmt=json:log_path=log.json"
    command = [ffmpeg, "-v", "error", "-i", str(worse), "-i", str(right), "-lavfi", chain, "-f", "null", "-"]
    subprocess.run(command, cwd=tmp_path, check=True)
    log = json.loads((tmp_path / "log.json").read_text())
    theirs = [frame["metrics"]["vmaf"] for frame in log["frames"]]
    assert ours == pytest.approx(theirs, abs=0.5)
    assert vmaf.harmonic_mean(theirs) == pytest.approx(log["pooled_metrics"]["vmaf"]["harmonic_mean"], abs=1e-3)
    assert min(score or 0 for score in equal) > 95


def test_vmaf_is_of_the_same_pairs_whatever_clocks_depths_and_names(ffmpeg: str, tmp_path: Path) -> None:
    sharp = [texture(index, 96, 64) for index in range(6)]
    right, worse = film(tmp_path / "right.mkv", sharp), film(tmp_path / "worse.mkv", blurred(sharp))
    plain = vmafs(worse, right, right, ffmpeg)
    odd = tmp_path / "it's: a, [b];\\ 100%d 片.mkv"
    late = "setpts=N*N/25/TB+3/TB"  # frames that come later and later, after three seconds of nothing
    again = ["-vf", late, "-fps_mode", "vfr", "-c:v", "ffv1", "-pix_fmt", "gbrp10le"]
    subprocess.run([ffmpeg, "-v", "error", "-i", str(worse), *again, str(odd)], check=True)
    assert vmafs(odd, right, right, ffmpeg)[0] == pytest.approx(plain[0], abs=0.1)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, frame in enumerate(sharp):
        Image.fromarray(frame).save(folder / f"{index}.png")
    assert vmafs(worse, folder, folder, ffmpeg) == plain


def test_vmaf_is_told_frame_by_frame(ffmpeg: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sharp = [texture(index, 96, 64) for index in range(5)]
    right, worse = film(tmp_path / "right.mkv", sharp), film(tmp_path / "worse.mkv", blurred(sharp))
    rows, curves = tmp_path / "rows.csv", tmp_path / "curves.svg"
    command = ["compare", str(worse), str(right), "--reference", str(right), "--vmaf", "-y"]
    assert run([*command, "--csv", str(rows), "--plot", str(curves)]) == 0
    said = capsys.readouterr().out
    with rows.open() as file:
        table = list(csv.DictReader(file))
    scores = [float(row["vmaf_A"]) for row in table]
    assert len({row["vmaf_A"] for row in table}) == len(table) == 5
    assert f"{np.mean(scores):.2f}" in re.search(r"\n +VMAF  (.*)", said)[1]  # type: ignore[index]
    assert f"{vmaf.harmonic_mean(scores):.2f}" in re.search(r"VMAF, harmonic mean  (.*)", said)[1]  # type: ignore[index]
    assert f"{min(scores):.2f}" in re.search(r"VMAF, least  (.*)", said)[1]  # type: ignore[index]
    assert curves.read_text().count('id="axes_') == 4
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["means"][0]["vmaf_least"] == pytest.approx(min(scores), abs=1e-3)
    assert [frame[0]["vmaf"] for frame in found["frames"]] == pytest.approx(scores, rel=1e-4)
    assert run(command[:-2]) == 0
    assert "VMAF" not in capsys.readouterr().out


def test_vmaf_that_cannot_be_is_said(ffmpeg: str, truth: list[Frame], tmp_path: Path) -> None:
    small = film(tmp_path / "small.mkv", [frame[:16, :40] for frame in truth])
    with pytest.raises(InputError, match=r"VMAF of 40x16: pictures of 17 pixels"):
        measure.compare(small, small, None, ffmpeg)
    whole, part = film(tmp_path / "whole.mkv", truth), film(tmp_path / "part.mkv", truth[:4])
    with pytest.raises(InputError, match="has 4 frames"):
        measure.compare(whole, part, None, ffmpeg)
    dying = tmp_path / "dying"
    dying.write_text("#!/bin/sh\nhead -c 9 > /dev/null\necho out of order >&2\nexit 1\n")
    dying.chmod(0o755)
    with pytest.raises(InputError, match="cannot measure VMAF of these films: out of order; leave --vmaf out"):
        measure.compare(whole, whole, None, str(dying))
