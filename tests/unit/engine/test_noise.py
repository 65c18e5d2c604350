from __future__ import annotations

import pytest
import torch
from flashvsr_engine import ConfigError, FixedNoise
from flashvsr_engine.noise import CounterNoise, philox

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0,) * 4, (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_known_answers(counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]) -> None:
    words = philox(tuple(torch.tensor(word) for word in counter), key)  # type: ignore[arg-type]
    assert tuple(int(word) for word in words) == expected


def test_noise_depends_on_its_place_alone() -> None:
    whole = CounterNoise(3).latents(0, 8, 12, 20, CPU)
    assert torch.equal(whole[:, :, 5:7], CounterNoise(3).latents(5, 2, 12, 20, CPU))
    assert torch.equal(whole[..., :4, :6], CounterNoise(3).latents(0, 8, 4, 6, CPU))
    assert not torch.equal(whole, CounterNoise(4).latents(0, 8, 12, 20, CPU))
    assert not torch.equal(whole, CounterNoise(3 + 2**40).latents(0, 8, 12, 20, CPU))


def test_a_stream_from_mid_film_sees_the_films_noise() -> None:
    film = CounterNoise(3).latents(6, 4, 12, 20, CPU)
    assert torch.equal(CounterNoise(3, first_latent=6).latents(0, 4, 12, 20, CPU), film)


def test_noise_is_standard_normal() -> None:
    noise = CounterNoise(0).latents(10**6, 6, 96, 160, CPU)
    assert noise.shape == (1, 16, 6, 96, 160)
    assert noise.dtype == torch.float32
    assert abs(noise.mean()) < 0.005
    assert abs(noise.std() - 1) < 0.005
    assert abs(noise.pow(4).mean() - 3) < 0.05
    channels = noise[0].flatten(1)
    assert (torch.corrcoef(channels) - torch.eye(16)).abs().max() < 0.02


def test_fixed_noise_is_checked() -> None:
    with pytest.raises(ConfigError, match=r"shape \(1, 3, 2, 8, 8\)"):
        FixedNoise(torch.zeros(1, 3, 2, 8, 8))
    with pytest.raises(ConfigError, match=r"\(8, 8\) rows and columns"):
        FixedNoise(torch.zeros(1, 16, 2, 8, 8)).latents(0, 2, 16, 16, CPU)
