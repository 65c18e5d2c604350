"""Media through the real engine in this process, with the weights that come along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from flashvsr_client import Client, Encoding, LocalOptions
from flashvsr_client.media.decode import decode
from flashvsr_client.media.probe import probe

from tests.unit.client.clips import encoded, ramp


def test_ten_bits_go_through_the_engine(tmp_path: Path) -> None:
    """A ramp comes out with more levels than 8 bits have, near to where they were, and the same each time."""
    small = ramp(64, 32)
    source = encoded(tmp_path / "in.mkv", [small] * 3, pixel_format="yuv420p10le")
    encoding = Encoding(codec="ffv1")
    with Client.local(LocalOptions(device="cpu", precision="fp32")) as client:
        for name in ("a.mkv", "b.mkv"):
            report = client.upscale_file(source, tmp_path / name, 2, seed=1, encoding=encoding)
        client.upscale_file(source, tmp_path / "frames", 2, seed=1)
    assert report.pixel_format == "yuv420p10le"
    made = [next(decode(probe(tmp_path / name))).picture for name in ("a.mkv", "b.mkv", "frames")]
    assert np.array_equal(made[0], made[1])
    assert len(np.unique(made[0][32, :, 1] // 64)) > 100, "128 pixels wide: more than every second one is another level"
    assert (
        np.abs(
            made[0][32, 8:-8, 1].astype(int) - np.interp(np.arange(8, 120), np.arange(128), np.linspace(0, 65535, 128))
        ).max()
        < 6000
    )
    assert np.abs(made[2].astype(int) - made[0])[32, :, 1].max() < 4 * 64


def test_a_picture_goes_through_the_engine(tmp_path: Path) -> None:
    source = encoded(tmp_path / "in.mp4", [np.full((32, 48, 3), 99, np.uint8)])
    with Client.local(LocalOptions(device="cpu")) as client:
        client.upscale_file(source, tmp_path / "out.png", 2)
    assert next(decode(probe(tmp_path / "out.png"))).picture.shape == (64, 96, 3)
