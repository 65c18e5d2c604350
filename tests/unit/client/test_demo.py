from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flashvsr_client import Client, EngineUnavailableError
from flashvsr_client.compare.metrics import luma, psnr
from flashvsr_client.demo import clip, result, server
from flashvsr_client.media.decode import decode
from flashvsr_client.media.probe import probe
from flashvsr_client.testing import MockTransport
from PIL import Image

MakeClip = Callable[..., Path]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "input.mp4"
    clip.write(path)
    return path


def test_the_clip_is_the_truth_shrunk_and_it_moves(small: Path) -> None:
    info = probe(small)
    assert (info.width, info.height, info.audio_codecs) == (160, 96, ("aac",))
    shown = [frame.picture for frame in decode(info)]
    assert len(shown) == clip.FRAMES
    for index, true in enumerate(clip.truth()):
        assert psnr(luma(shown[index]), luma(clip.shrink(true))) > 40
    assert psnr(luma(shown[0]), luma(shown[8])) < 25


def test_the_truth_is_kept_without_loss(tmp_path: Path) -> None:
    clip.write_truth(tmp_path / "truth.mp4")
    for frame, true in zip(decode(probe(tmp_path / "truth.mp4")), clip.truth(), strict=True):
        np.testing.assert_array_equal(frame.picture, true)


@pytest.mark.parametrize(("known", "size"), [(True, (2 * 128, 2 * (96 + 28))), (False, (3 * 128, 96 + 28))])
def test_the_picture_has_a_tile_for_each(
    make_clip: MakeClip, tmp_path: Path, known: bool, size: tuple[int, int]
) -> None:
    source = make_clip(frames=3)
    Client(transport=MockTransport()).upscale_file(source, tmp_path / "out.mp4")
    truth = tmp_path / "out.mp4" if known else None
    result.side_by_side(tmp_path / "s.png", source, tmp_path / "out.mp4", 1, truth)
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.size == size


def test_a_server_that_does_not_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "flashvsr-serve"
    failing.write_text("#!/bin/sh\necho no luck >&2\nexit 3\n")
    failing.chmod(0o755)
    monkeypatch.setattr(server, "_executable", lambda: str(failing))
    with pytest.raises(EngineUnavailableError, match="code 3"), server.running(tmp_path / "serve.log"):
        pass
    assert (tmp_path / "serve.log").read_text() == "no luck\n"
