"""The layers rewritten for speed give what they gave before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from flashvsr_engine.kernels.conv import doubling_kernel, up_conv, up_conv_reference
from flashvsr_engine.model import LQProjector, ProjectorMemory, ProjectorSizes, TCDecoder, TCDecoderSizes
from torch import Tensor


@torch.inference_mode()
def test_enlargement_and_convolution_are_one() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 4, 5, 7), torch.randn(6, 4, 3, 3)
    expected = up_conv_reference(x, weight)
    torch.testing.assert_close(up_conv(x, doubling_kernel(weight)), expected, rtol=0, atol=1e-5)
    inner = up_conv(F.pad(x, (0, 0, 1, 1)), doubling_kernel(weight), (3, 1))
    torch.testing.assert_close(inner, expected, rtol=0, atol=1e-5)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """With several, oneDNN sums a call of few rows in another order than one of many: by one rounding step."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("slope", [0.0, 0.2])
@torch.inference_mode()
def test_a_prepared_decoder_is_the_decoder_and_exact_in_bands(slope: float) -> None:
    torch.manual_seed(0)
    decoder = TCDecoder(TCDecoderSizes((12, 8, 6, 16)), slope).requires_grad_(False)
    decoder.to(memory_format=torch.channels_last)
    latents, lq = torch.randn(2, 16, 3, 44, 8), torch.rand(2, 3, 12, 352, 64)

    def run(parts: int) -> list[Tensor]:
        first, memory = decoder(latents[:, :, :1], lq[:, :, :4], None, parts)
        second, memory = decoder(latents[:, :, 1:], lq[:, :, 4:], memory, parts)
        return [first, second, *memory]

    expected = run(1)
    decoder.prepare()
    found = run(1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert all(torch.equal(whole, banded) for whole, banded in zip(found, run(2), strict=True))


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@torch.inference_mode()
def test_a_prepared_projector_is_the_projector_and_exact_in_bands(version: str) -> None:
    torch.manual_seed(0)
    projector = LQProjector(ProjectorSizes(8, 12, 16), version)  # type: ignore[arg-type]
    lq = torch.rand(2, 3, 33, 384, 128) * 2 - 1

    def run(bands: int) -> list[Tensor]:
        first, memory = projector(lq[:, :, :25], ProjectorMemory(), bands)
        second, memory = projector(lq[:, :, 25:], memory, bands)
        return [*first, *second, *memory.tensors()]

    expected = run(1)
    projector.prepare()
    assert all(torch.equal(*pair) for pair in zip(expected, run(1), strict=True))
    for bands in (2, 3, 9):
        assert all(torch.equal(*pair) for pair in zip(expected, run(bands), strict=True))


def test_the_projector_is_a_convolution_in_three_dimensions() -> None:
    """Its first layer against F.conv3d over the padded clip, in what the memory of a stream's start holds."""
    torch.manual_seed(0)
    projector = LQProjector(ProjectorSizes(8, 12, 16), "1.1")
    lq = torch.rand(1, 3, 25, 128, 128)
    _, memory = projector(lq, ProjectorMemory())
    x = F.pixel_unshuffle(lq.transpose(1, 2)[0], 16).transpose(0, 1)[None]
    padded = F.pad(x[:, :, -6:], (1, 1, 1, 1, 0, 0), mode="replicate")
    y = F.conv3d(padded, projector.conv1.weight, projector.conv1.bias, stride=(2, 1, 1))
    expected = F.silu(F.normalize(y, dim=1) * 8**0.5 * projector.norm1.gamma)
    assert memory.conv2 is not None
    torch.testing.assert_close(memory.conv2, expected.permute(0, 2, 3, 4, 1), rtol=0, atol=5e-5)
