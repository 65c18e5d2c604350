"""High dynamic range: refused unless something is said; mapped by the documents' numbers; carried with its metadata."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flashvsr_client import Client, Encoding, InputError, OutputError, Reading, UsageError
from flashvsr_client.media.color import Colors
from flashvsr_client.media.decode import decode
from flashvsr_client.media.hdr import HLG, PQ, Light
from flashvsr_client.media.probe import probe
from flashvsr_client.media.tonemap import WHITE, ToneMap, eetf, hlg_scene, pq_eotf, pq_inverse
from flashvsr_client.testing import MockTransport
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.client.clips import encoded, ramp

# of BT.2020, D65, 0.005 to 1000 cd/m2; MaxCLL 1000, MaxFALL 400
MASTERING = "G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50)"
LIGHT = Light(
    primaries=tuple(
        (Fraction(x, 50000), Fraction(y, 50000))
        for x, y in ((35400, 14600), (8500, 39850), (6550, 2300), (15635, 16450))
    ),
    luminance=(Fraction(50, 10000), Fraction(1000)),
    content=(1000, 400),
)
PARAMS = f"log-level=error:master-display={MASTERING}:max-cll=1000,400"


def hdr_clip(path: Path, transfer: int = PQ, params: str = PARAMS) -> Path:
    return encoded(
        path,
        [ramp()] * 5,
        codec="libx265",
        pixel_format="yuv420p10le",
        options={"crf": "4", "x265-params": params},
        colors=Colors(9, False, 9, transfer),
    )


def upscaled(source: Path, target: Path, hdr: str, **encoding: Any) -> Path:
    client = Client(transport=MockTransport())
    client.upscale_file(source, target, 2, encoding=Encoding(**encoding), reading=Reading(hdr=hdr))
    return target


@pytest.mark.parametrize(("transfer", "name"), [(PQ, "PQ"), (HLG, "HLG")])
def test_hdr_is_refused_unless_something_is_said(tmp_path: Path, transfer: int, name: str) -> None:
    source = hdr_clip(tmp_path / "in.mp4", transfer)
    with pytest.raises(InputError, match=rf"is HDR \({name}\).* --hdr tonemap .* --hdr keep"):
        probe(source)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_what_is_kept_is_carried_with_its_light(tmp_path: Path, codec: str) -> None:
    source = hdr_clip(tmp_path / "in.mp4")
    assert probe(source, Reading(hdr="keep")).light == LIGHT
    info = probe(upscaled(source, tmp_path / "out.mp4", "keep", codec=codec), Reading(hdr="keep"))
    assert (info.colors, info.depth) == (Colors(9, False, 9, PQ), 16)
    assert info.light is not None
    assert info.light.content == LIGHT.content
    assert info.light.luminance is not None
    assert [float(x) for x in info.light.luminance] == pytest.approx([0.005, 1000], rel=0.02)
    found = [float(value) for point in info.light.primaries for value in point]
    assert found == pytest.approx([float(value) for point in LIGHT.primaries for value in point], abs=1e-4)


def test_what_cannot_carry_it_is_refused(tmp_path: Path) -> None:
    source = hdr_clip(tmp_path / "in.mp4")
    with pytest.raises(OutputError, match=r"ffv1 cannot carry .* choose -c libx265"):
        upscaled(source, tmp_path / "out.mkv", "keep", codec="ffv1")
    with pytest.raises(UsageError, match="yuv420p: HDR needs 10 bits"):
        upscaled(source, tmp_path / "out.mkv", "keep", pixel_format="yuv420p")


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_what_is_mapped_is_sdr_and_says_so(tmp_path: Path, transfer: int) -> None:
    source = hdr_clip(tmp_path / "in.mp4", transfer)
    target = upscaled(source, tmp_path / "out.mp4", "tonemap")
    info = probe(target)
    assert (info.colors, info.depth, info.light) == (Colors(1, False, 1, 1), 8, None)
    line = next(decode(info)).picture[16, :, 1].astype(int)
    assert line[0] <= 1
    assert line[-1] >= 254
    assert np.all(np.diff(line[::4]) >= -1)


def test_pq_and_hlg_are_those_of_the_standard() -> None:
    """Levels of BT.2408 and BT.2100: 58 % of PQ is 203 cd/m2, 75 % of HLG is 0.265 of scene light."""
    assert pq_eotf(np.array([0.0, 0.5081, 0.5807, 1.0])) == pytest.approx([0, 100, 203, 10000], rel=2e-3)
    assert hlg_scene(np.array([0.0, 0.5, 0.75, 1.0])) == pytest.approx([0, 1 / 12, 0.265, 1], rel=2e-3)


@given(st.floats(0, 10000))
def test_pq_and_its_inverse(light: float) -> None:
    assert float(pq_eotf(pq_inverse(np.array([light])).astype(np.float64))[0]) == pytest.approx(
        light, rel=1e-6, abs=1e-6
    )


@given(st.floats(203, 10000))
def test_the_curve_is_straight_below_its_knee_rises_and_ends_at_white(peak: float) -> None:
    light = pq_eotf(np.linspace(0, float(pq_inverse(np.array(peak))), 500))
    mapped = eetf(light, peak)
    assert np.all(np.diff(mapped) >= -1e-6)
    assert mapped[-1] == pytest.approx(WHITE, rel=1e-4)
    most = float(pq_inverse(np.array(WHITE))) / float(pq_inverse(np.array(peak)))
    knee = max(1.5 * most - 0.5, 0)
    below = light < pq_eotf(np.array(knee * float(pq_inverse(np.array(peak)))))
    assert mapped[below] == pytest.approx(light[below], rel=1e-6)


def test_greys_stay_grey_and_hues_stay() -> None:
    tone_map = ToneMap(PQ, 1000.0)
    grey = tone_map(ramp()).astype(int)
    assert np.abs(grey - grey[..., :1]).max() <= 65535 // 200
    red = ramp()
    red[..., 1:] //= 2
    mapped = tone_map(red)[0].astype(int)
    assert np.all(mapped[100:, 0] > mapped[100:, 1])


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="FFmpeg is not on the path")
def test_ffprobe_finds_the_light(tmp_path: Path) -> None:
    target = upscaled(hdr_clip(tmp_path / "in.mp4"), tmp_path / "out.mkv", "keep", codec="libx265")
    command = ["ffprobe", "-v", "error", "-show_frames", "-read_intervals", "%+#1", str(target)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in ("color_transfer=smpte2084", "max_content=1000", "max_average=400", "max_luminance=10000000/10000"):
        assert line in said
