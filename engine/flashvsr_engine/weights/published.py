"""What was published: repositories, revisions, files, their sizes and SHA-256.

The digests of version 1.1 are those that the hub reports for the pinned revision. No digests of version 1.0 are known
here: its files are held to what the hub says of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from flashvsr_engine.model import ProjectorVersion

PROMPT_URL = "https://github.com/OpenImagingLab/FlashVSR/raw/main/examples/WanVSR/prompt_tensor/posi_prompt.pth"


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file: which part of the network, its name, its bytes and SHA-256 where known; url where not on the hub."""

    part: str
    name: str
    size: int | None = None
    sha256: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """A published version. revision: the pinned commit in full; None where any will do. folder: its usual name."""

    version: ProjectorVersion
    folder: str
    repository: str
    revision: str | None
    files: tuple[PublishedFile, ...]


PROMPT = PublishedFile(
    "prompt",
    "posi_prompt.pth",
    4195504,
    "4601107a11e4e11a936a6b79df579e54dbc99872132bf542151f0ffd65b4b1ef",
    PROMPT_URL,
)
RELEASES: dict[ProjectorVersion, Release] = {
    "1.1": Release(
        version="1.1",
        folder="FlashVSR-v1.1",
        repository="JunhaoZhuang/FlashVSR-v1.1",
        revision="27561b186ded3402d7c975f4fd722e2885b6135f",
        files=(
            PublishedFile(
                "dit",
                "diffusion_pytorch_model_streaming_dmd.safetensors",
                5676070392,
                "bd28180edcf3446c028e32fc6b731a80bf7e4da2ab4caac3186b9499964d37be",
            ),
            PublishedFile(
                "projector",
                "LQ_proj_in.ckpt",
                575694948,
                "d6d011cdaaba6a52645086caa08fa04124e746f6ca568140a24007591142bfd2",
            ),
            PublishedFile(
                "tcdecoder",
                "TCDecoder.ckpt",
                189018333,
                "e224bdcf2f52745cbf4d393ff5374c2ba09e90285d5d19062d2bf63b915b6161",
            ),
            PublishedFile(
                "vae",
                "Wan2.1_VAE.pth",
                507609880,
                "38071ab59bd94681c686fa51d75a1968f64e470262043be31f7a094e442fd981",
            ),
            PROMPT,
        ),
    ),
    "1.0": Release(
        version="1.0",
        folder="FlashVSR",
        repository="JunhaoZhuang/FlashVSR",
        revision=None,
        files=(
            PublishedFile("dit", "diffusion_pytorch_model_streaming_dmd.safetensors"),
            PublishedFile("projector", "LQ_proj_in.ckpt"),
            PublishedFile("tcdecoder", "TCDecoder.ckpt"),
            PublishedFile("vae", "Wan2.1_VAE.pth"),
            PROMPT,
        ),
    ),
}
