"""Where the files of a weights folder lie: our own layout, the published one, and those of the community's tools.

| who | weights | prompt |
| --- | --- | --- |
| OpenImagingLab/FlashVSR | examples/WanVSR/FlashVSR[-v1.1]/ | examples/WanVSR/prompt_tensor/posi_prompt.pth |
| lihaoyun6/FlashVSR_plus | models/FlashVSR[-v1.1]/ | models/posi_prompt.pth |
| LujiaJin/FlashVSR-Pro | models/FlashVSR-v1.1/ | examples/WanVSR/prompt_tensor/posi_prompt.pth |
| lihaoyun6/ComfyUI-FlashVSR_Ultra_Fast, naxci1/ComfyUI-FlashVSR_Stable | ComfyUI/models/FlashVSR[-v1.1]/ | \
ComfyUI/custom_nodes/<node>/posi_prompt.pth |
| 1038lab/ComfyUI-FlashVSR | ComfyUI/models/FlashVSR/, all as .safetensors with names of its own | Prompt.safetensors |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

from flashvsr_engine.errors import WeightsError
from flashvsr_engine.model import ProjectorVersion
from flashvsr_engine.weights.manifest import FILE_NAME, OPTIONAL_PARTS, PARTS, Manifest

NAMES: Mapping[str, tuple[str, ...]] = {
    "dit": (
        "diffusion_pytorch_model_streaming_dmd.safetensors",
        "FlashVSR1_1.safetensors",
        "Wan2_1-T2V-1.1_3B_FlashVSR_fp32.safetensors",
        "Wan2_1-T2V-1_3B_FlashVSR_fp32.safetensors",
    ),
    "projector": (
        "LQ_proj_in.ckpt",
        "LQ_proj_in.safetensors",
        "Wan2_1_FlashVSR_LQ_proj_model_bf16.safetensors",
    ),
    "tcdecoder": ("TCDecoder.ckpt", "TCDecoder.safetensors", "Wan2_1_FlashVSR_TCDecoder_fp32.safetensors"),
    "prompt": ("posi_prompt.pth", "posi_prompt.safetensors", "Prompt.safetensors"),
    "vae": ("Wan2.1_VAE.pth", "Wan2.1_VAE.safetensors"),
}
"""Part -> names in use for its file, the published one first."""


def weights_folder(weights: str | Path, version: ProjectorVersion | None = None) -> Path:
    """The folder that holds the files: of "builtin", of a path, or of the one model in a folder `models`.

    Where several models lie there, `version` chooses by their names. WeightsError if there is none, or no one.
    """
    if weights == "builtin":
        return Path(str(files("flashvsr_engine") / "weights" / "builtin"))
    folder = Path(weights)
    if not folder.is_dir():
        raise WeightsError(f"{folder} is no folder; weights may be 'builtin' or a folder of published files.")
    if _holds_weights(folder):
        return folder
    models = _models_in(folder) or _models_in(folder / "models")
    if len(models) > 1 and version is not None:
        models = [model for model in models if version_of_name(model.name) == version]
    if len(models) > 1:
        names = ", ".join(model.name for model in models)
        raise WeightsError(f"{folder} holds several models: {names}; name one of them, or give a version.")
    return models[0] if models else folder


def locate(folder: Path, manifest: Manifest) -> dict[str, Path]:
    """Part -> file, all that are needed and those of the others that are there.

    WeightsError that names every file that is missing.
    """
    found = {part: path for part in (*PARTS, *OPTIONAL_PARTS) if (path := _find(folder, manifest, part)) is not None}
    missing = [manifest.files[part] for part in PARTS if part not in found]
    if missing:
        raise WeightsError(
            f"{folder} lacks {', '.join(missing)}; "
            f"`flashvsr-engine weights fetch --dir {folder}` fetches what is missing."
        )
    return found


def version_of_name(name: str) -> ProjectorVersion | None:
    """What the name of a model's folder or DiT file says about its version, if anything."""
    if re.fullmatch(r"flashvsr[-_ ]?v?1[._]1(\.safetensors)?|wan2_1-t2v-1\.1_3b_flashvsr.*", name.lower()):
        return "1.1"
    if re.fullmatch(r"flashvsr([-_ ]?v?1([._]0)?)?", name.lower()):
        return "1.0"
    return None


def _find(folder: Path, manifest: Manifest, part: str) -> Path | None:
    named = manifest.files.get(part)
    if named is not None and ((folder / named).is_file() or named != NAMES[part][0]):
        return folder / named if (folder / named).is_file() else None
    places = _prompt_places(folder) if part == "prompt" else [folder]
    return next((path for place in places for name in NAMES[part] if (path := place / name).is_file()), None)


def _prompt_places(folder: Path) -> Iterator[Path]:
    """The prompt is the same for all versions, and most tools keep it beside or above the weights."""
    folder = folder.resolve()
    above, top = folder.parent, folder.parent.parent
    yield from (folder, folder / "prompt_tensor", above / "prompt_tensor", above)
    yield top / "examples" / "WanVSR" / "prompt_tensor"
    yield from sorted((top / "custom_nodes").glob("*[Ff]lash[Vv][Ss][Rr]*"))


def _models_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if version_of_name(path.name) and _holds_weights(path))


def _holds_weights(folder: Path) -> bool:
    names = (FILE_NAME, *NAMES["dit"], *NAMES["projector"])
    return folder.is_dir() and any((folder / name).is_file() for name in names)
