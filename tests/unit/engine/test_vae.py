from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from flashvsr_engine.errors import WeightsError
from flashvsr_engine.model.conv import over_time
from flashvsr_engine.model.tcdecoder import TCDecoder, TCDecoderSizes
from flashvsr_engine.model.vae import VAEMemory, VAESizes, WanDecoder, decoding, vae_sizes
from flashvsr_engine.model.vae_layers import Norm
from flashvsr_engine.weights.files import read_tensors
from flashvsr_engine.weights.load import build
from torch import Tensor

from tests.golden.golden_case import WEIGHTS
from tests.unit.engine.live_memory import LiveMemory

FILE = WEIGHTS / "Wan2.1_VAE.pth"


@pytest.fixture(scope="module")
def published() -> WanDecoder:
    return build(FILE, decoding(read_tensors(FILE)), lambda shapes: WanDecoder(vae_sizes(shapes))).float()


@pytest.fixture(scope="module")
def small() -> WanDecoder:
    torch.manual_seed(1)
    return WanDecoder(VAESizes((16, 16, 8, 8))).eval().requires_grad_(False)


def decode(vae: WanDecoder, latents: Tensor, cuts: list[int], parts: int = 1) -> tuple[Tensor, VAEMemory]:
    memory, made = None, []
    for piece in latents.split(cuts, dim=2):
        frames, memory = vae(piece, memory, parts)
        made.append(frames)
    assert memory is not None
    return torch.cat(made, dim=1), memory


def test_sizes_are_read_off_the_file(published: WanDecoder) -> None:
    assert published.sizes == VAESizes((64, 64, 32, 16))
    assert decoding({"encoder.x": 1, "conv1.weight": 2, "conv2.weight": 3, "decoder.conv1.bias": 4}).keys() == {
        "conv2.weight",
        "decoder.conv1.bias",
    }


def test_a_file_without_a_time_convolution_is_refused() -> None:
    tensors = decoding(read_tensors(FILE))
    del tensors["decoder.upsamples.7.time_conv.weight"]
    with pytest.raises(WeightsError, match=r"lacks the tensor 'decoder.upsamples.7.time_conv.weight'"):
        build(FILE, tensors, lambda shapes: WanDecoder(vae_sizes(shapes)))


def test_latents_survive_a_cast_of_the_module(small: WanDecoder) -> None:
    assert not any("mean" in key or "std" in key for key in small.state_dict())
    assert WanDecoder(small.sizes).to(torch.bfloat16).mean.tolist() == small.mean.tolist()


def test_cuts_do_not_show(small: WanDecoder) -> None:
    torch.manual_seed(2)
    latents = torch.randn(2, 16, 10, 6, 5)
    whole, end = decode(small, latents, [6, 2, 2])
    single, also = decode(small, latents, [1] * 10)
    assert whole.shape == (2, 37, 3, 48, 40)
    assert torch.equal(whole, single)
    assert all(torch.equal(a, b) for a, b in zip(end, also, strict=True))
    assert whole.std() > 0.01
    assert whole.abs().max() <= 1


def test_each_of_a_batch_is_as_alone(small: WanDecoder) -> None:
    torch.manual_seed(3)
    latents = torch.randn(3, 16, 3, 4, 6)
    together, memory = decode(small, latents, [2, 1])
    alone, own = decode(small, latents[1:2], [2, 1])
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-5)
    torch.testing.assert_close([m[1:2] for m in memory], list(own), rtol=0, atol=1e-4)


def test_memory_is_written_over_and_no_larger(small: WanDecoder) -> None:
    latents = torch.randn(1, 16, 3, 4, 4)
    _, first = small(latents, None)
    assert [tuple(m.shape) for m in first] == small.memory_shapes(1, 4, 4)
    _, second = small(latents, first)
    assert all(a is b for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("rows", [15, 16, 29, 40])
def test_bands_of_the_vae_do_not_show(small: WanDecoder, rows: int) -> None:
    torch.manual_seed(rows)
    latents = torch.randn(1, 16, 3, rows, 4)
    whole, end = decode(small, latents, [2, 1])
    for parts in (2, 3, 4, 5):
        made, memory = decode(small, latents, [2, 1], parts)
        assert torch.equal(made, whole)
        assert all(torch.equal(a, b) for a, b in zip(memory, end, strict=True))


@pytest.mark.parametrize("rows", [19, 20, 37, 48])
def test_bands_of_the_tcdecoder_do_not_show(rows: int) -> None:
    torch.manual_seed(rows)
    decoder = TCDecoder(TCDecoderSizes((8, 6, 5, 4)), slope=0.1).requires_grad_(False)
    latents, lq = torch.randn(2, 16, 3, rows, 4), torch.rand(2, 3, 12, 8 * rows, 32)

    def run(parts: int) -> list[Tensor]:
        first, memory = decoder(latents[:, :, :2], lq[:, :, :8], None, parts)
        second, memory = decoder(latents[:, :, 2:], lq[:, :, 8:], memory, parts)
        return [first, second, *memory]

    whole = run(1)
    for parts in (2, 3, 4, 5):
        assert all(torch.equal(a, b) for a, b in zip(run(parts), whole, strict=True))


def test_bands_take_less_memory(small: WanDecoder) -> None:
    latents, lq = torch.randn(1, 16, 1, 96, 4), torch.rand(1, 3, 4, 768, 32)
    decoder = TCDecoder(TCDecoderSizes((8, 8, 16, 32))).requires_grad_(False)
    _, memory = small(latents, None)
    _, kept = decoder(latents, lq, None)
    vae, tiny = {}, {}
    for parts in (1, 2, 4):
        with LiveMemory() as live:
            frames, _ = small(latents, memory, parts)
        vae[parts] = live.peak - frames.nbytes
        with LiveMemory() as live:
            made, _ = decoder(latents, lq, kept, parts)
        tiny[parts] = live.peak - made.nbytes - sum(frame.nbytes for frame in kept)
    assert vae[2] < 0.6 * vae[1]
    assert vae[4] < 0.35 * vae[1]
    assert tiny[2] < 0.8 * tiny[1]
    assert tiny[4] < 0.45 * tiny[1]


def test_three_sums_are_the_convolution() -> None:
    torch.manual_seed(4)
    x = torch.randn(2, 5, 6, 7, 4)
    for kernel in ((3, 3, 3), (3, 1, 1)):
        weight, bias = torch.randn(3, 4, *kernel), torch.randn(3)
        expected = F.conv3d(x.permute(0, 4, 1, 2, 3), weight, bias, padding=(0, 0, kernel[2] // 2))
        torch.testing.assert_close(over_time(x, weight, bias).permute(0, 4, 1, 2, 3), expected, rtol=0, atol=1e-4)


def test_norm_is_by_the_length_of_the_channels() -> None:
    torch.manual_seed(5)
    x = torch.randn(2, 1, 3, 3, 16) * torch.tensor([1.0, 1e-4, 0.0]).view(3, 1, 1)
    norm = Norm(16)
    norm.gamma.data.normal_()
    expected = F.normalize(x, dim=-1) * 4 * norm.gamma.flatten()
    torch.testing.assert_close(norm(x), expected)


def test_bfloat16_stays_near(published: WanDecoder) -> None:
    torch.manual_seed(6)
    latents = torch.randn(1, 16, 2, 6, 6)
    exact, _ = published(latents, None)
    half = build(FILE, decoding(read_tensors(FILE)), lambda shapes: WanDecoder(vae_sizes(shapes))).bfloat16()
    made, memory = half(latents.bfloat16(), None)
    assert made.dtype is torch.bfloat16
    assert all(m.dtype is torch.bfloat16 for m in memory)
    mse = (made.float() - exact).square().mean()
    assert 10 * torch.log10(4 / mse) > 40
