"""The engine against exact results of the network."""

from __future__ import annotations

import pytest
import torch
from flashvsr_engine import FixedNoise, FlashVSREngine
from flashvsr_engine.devices import computes_bf16
from flashvsr_engine.kernels import SparseAttention
from flashvsr_engine.model import TCDecoder
from safetensors.torch import load_file

from tests.golden.golden_case import HERE, NAMES, read


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pushes", [[], [1, 0, 23, 1, 3, 9]], ids=["whole", "pieces"])
def test_output_is_exact(name: str, pushes: list[int]) -> None:
    case = read(name)
    out = case.run(FlashVSREngine.load(case.config()), pushes)
    difference = (out - case.expected).abs()
    assert difference.mean() < 2e-4
    assert (difference > 4e-3).float().mean() < 1e-3


def test_tiny_and_tiny_long_make_the_same_picture() -> None:
    case = read("tiny_256x384")
    outputs = [case.run(FlashVSREngine.load(case.config(mode=mode)), []) for mode in ("tiny", "tiny-long")]
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-5)


@pytest.mark.skipif(not computes_bf16(torch.device("cpu")), reason="this processor only imitates bfloat16, slowly")
def test_bfloat16_stays_near() -> None:
    """Block selection is chaotic, so the bound is on the bulk of the values, not on the worst."""
    case = read("tiny_256x384")
    out = case.run(FlashVSREngine.load(case.config(precision="bf16")), [])
    mse = (out - case.expected).square().flatten(1).mean(1).median()
    assert 10 * torch.log10(4 / mse) > 38


def test_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latents and block masks of the first case, layer by layer: where a difference would begin."""
    case = read("tiny_256x384")
    stages = load_file(HERE / "cases" / "tiny_256x384.stages.safetensors")
    engine = FlashVSREngine.load(case.config())
    masks: list[torch.Tensor] = []
    select = SparseAttention.select

    def recording(self: SparseAttention, q: torch.Tensor, k_means: torch.Tensor) -> torch.Tensor:
        mask = select(self, q, k_means)
        if not mask.is_meta:  # a plan
            masks.append(mask)
        return mask

    latents: list[torch.Tensor] = []
    forward = TCDecoder.forward

    def seeing(self, z, *rest):  # type: ignore[no-untyped-def]
        if not z.is_meta:
            latents.append(z)
        return forward(self, z, *rest)

    monkeypatch.setattr(SparseAttention, "select", recording)
    monkeypatch.setattr(TCDecoder, "forward", seeing)
    session = engine.open(96, 64, noise=FixedNoise(case.noise))
    session.push(case.frames)
    # Three layers a chunk. The ring has four slots: chunk 2 writes slice 4 over slice 0, the recorded order is by age.
    assert torch.equal(masks[0][0], stages["mask_chunk0_layer0"].bool())
    assert torch.equal(masks[3][0], stages["mask_chunk1_layer0"].bool())
    by_slot = masks[8][0].unflatten(-1, (4, -1))
    assert torch.equal(by_slot[:, :, [1, 2, 3, 0]].flatten(2), stages["mask_chunk2_layer2"].bool())
    found = torch.cat(latents, dim=2)[0].transpose(0, 1)
    torch.testing.assert_close(found, stages["latents"].float()[: len(found)], rtol=1e-3, atol=1e-3)  # float16
