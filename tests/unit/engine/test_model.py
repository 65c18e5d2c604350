from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from flashvsr_engine.color import adain, wavelet
from flashvsr_engine.frames import upscale
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.model import LQProjector, ProjectorMemory, ProjectorSizes, TCDecoder, TCDecoderSizes, rotation
from flashvsr_engine.model.rope import axis_dims, rotate
from flashvsr_engine.model.windows import from_windows, to_windows
from flashvsr_engine.residual import FLOOR, SHARE, add_residual

CPU = torch.device("cpu")


def test_rotary_dims() -> None:
    assert axis_dims(128) == (44, 42, 42)
    assert axis_dims(64) == (24, 20, 20)


def test_positions_have_no_end() -> None:
    """Attention sees differences of positions alone, so a pair a million latents on scores what it scores at 0."""
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 256, 1, 64)
    scores = []
    for first in (0, 1_000_000):
        near, far = rotation(64, first, 2, 8, 16, CPU), rotation(64, first + 6, 2, 8, 16, CPU)
        scores.append(rotate(q, far)[:, :, 0] @ rotate(k, near)[:, :, 0].transpose(1, 2))
    torch.testing.assert_close(*scores, rtol=0, atol=2e-4)


def test_windows_are_undone() -> None:
    x = torch.randn(2, 6, 16, 24, 5)
    assert torch.equal(from_windows(to_windows(x), 6, 16, 24), x)
    assert torch.equal(to_windows(x)[1, 128], x[1, 0, 0, 8])


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_projector_does_not_see_the_cut(version: str) -> None:
    torch.manual_seed(0)
    projector = LQProjector(ProjectorSizes(8, 8, 16), version)  # type: ignore[arg-type]
    lq = torch.rand(2, 3, 33, 128, 128)
    whole, _ = projector(lq, ProjectorMemory())
    first, memory = projector(lq[:, :, :25], ProjectorMemory())
    second, memory = projector(lq[:, :, 25:], memory)
    torch.testing.assert_close(torch.cat((first[0], second[0]), dim=1), whole[0], rtol=0, atol=1e-5)
    assert (memory.nbytes > 0) == (version == "1.1")


def test_decoder_does_not_see_the_cut() -> None:
    torch.manual_seed(0)
    decoder = TCDecoder(TCDecoderSizes((8, 6, 5, 4)), slope=0.1)
    latents, lq = torch.randn(2, 16, 5, 8, 8), torch.rand(2, 3, 20, 64, 64)
    whole, end = decoder(latents, lq, None)
    first, memory = decoder(latents[:, :, :2], lq[:, :, :8], None)
    second, memory = decoder(latents[:, :, 2:], lq[:, :, 8:], memory)
    torch.testing.assert_close(torch.cat((first, second), dim=1), whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(memory, end, rtol=0, atol=1e-5)
    alone, _ = decoder(latents[1:], lq[1:], None)
    torch.testing.assert_close(alone, whole[1:], rtol=0, atol=1e-5)


def test_adain_takes_over_mean_and_deviation() -> None:
    torch.manual_seed(0)
    y, lq = 0.1 * torch.randn(3, 3, 32, 32) + 0.4, 0.2 * torch.randn(3, 3, 32, 32) - 0.1
    out = adain(y, lq)
    torch.testing.assert_close(out.mean((2, 3)), lq.mean((2, 3)), rtol=0, atol=1e-3)
    torch.testing.assert_close(out.std((2, 3)), lq.std((2, 3)), rtol=0, atol=1e-3)


def test_wavelet_is_high_bands_on_low_band() -> None:
    """Against the definition: five dilated binomial low-passes of each picture, one after another."""
    torch.manual_seed(0)
    y, lq = 0.3 * torch.rand(2, 2, 3, 48, 40)
    kernel = torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([1.0, 2, 1])) / 16

    def low(x: torch.Tensor) -> torch.Tensor:
        for level in range(5):
            padded = F.pad(x, [2**level] * 4, mode="replicate")
            x = F.conv2d(padded, kernel.expand(3, 1, 3, 3), groups=3, dilation=2**level)
        return x

    torch.testing.assert_close(wavelet(y, lq), (y - low(y) + low(lq)).clamp(-1, 1), rtol=0, atol=1e-5)


def test_padding_continues_the_picture_by_reflection() -> None:
    frames = torch.arange(20 * 18, dtype=torch.uint8).view(1, 20, 18, 1).expand(-1, -1, -1, 3)
    geometry = Geometry(18, 20, 4)
    lq = upscale(frames, geometry)
    assert lq.shape == (1, 3, 1, 128, 128)
    assert torch.equal(lq[..., 72:128], lq[..., 15:71].flip(-1))
    assert torch.equal(lq[..., 80:128, :], lq[..., 31:79, :].flip(-2))


def test_padding_may_be_longer_than_the_picture() -> None:
    frames = torch.randint(0, 256, (1, 16, 16, 3), dtype=torch.uint8)
    lq = upscale(frames, Geometry(16, 16, 2))
    assert torch.equal(lq[..., :32], lq[..., 62:94])  # there and back
    assert torch.equal(lq[..., :32], lq[..., 31:63].flip(-1))


def test_a_residual_stays_near_its_neighbourhood() -> None:
    torch.manual_seed(0)
    guide = F.interpolate(torch.rand(2, 3, 12, 16) * 1.6 - 0.8, scale_factor=8, mode="bilinear")
    small, wild = 0.1 * torch.randn(guide.shape).clamp(-1, 1), 9 * torch.randn(guide.shape)
    assert torch.equal(add_residual(guide, small), guide + small)
    bounded, slack = add_residual(guide, wild), FLOOR + SHARE * (guide.max() - guide.min())
    assert guide.min() - slack <= bounded.min() < bounded.max() <= guide.max() + slack
    flat = torch.full_like(guide, 0.3)
    assert (add_residual(flat, wild) - flat).abs().max() <= FLOOR + 1e-6
