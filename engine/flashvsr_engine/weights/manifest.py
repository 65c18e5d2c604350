"""manifest.json: what a weights folder holds that its files do not say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from flashvsr_engine.errors import WeightsError
from flashvsr_engine.model import ProjectorVersion
from flashvsr_engine.weights.storage import written

FILE_NAME = "manifest.json"
PARTS = ("dit", "projector", "tcdecoder", "prompt")
OPTIONAL_PARTS = ("vae",)
PUBLISHED_FILES = {
    "dit": "diffusion_pytorch_model_streaming_dmd.safetensors",
    "projector": "LQ_proj_in.ckpt",
    "tcdecoder": "TCDecoder.ckpt",
    "prompt": "posi_prompt.pth",
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """Facts about a weights folder.

    version: rule of the LQ projector; the file does not say it, and the wrong one makes ghosts. files: part -> file
    name; the part "vae" may be absent. sha256: file name -> digest, checked at loading where given. head_dim: of the
    DiT. max_local_range: the widest attention that the model was trained with; a wider request is narrowed to it.
    residual: the decoder's output is added to the upscaled input. decoder_slope: leaky slope of the decoder's
    activations. source: where the files come from, such as "JunhaoZhuang/FlashVSR-v1.1@<commit>".
    """

    version: ProjectorVersion | None = None
    name: str = "flashvsr"
    files: Mapping[str, str] = field(default_factory=lambda: dict(PUBLISHED_FILES))
    sha256: Mapping[str, str] = field(default_factory=dict)
    head_dim: int = 128
    max_local_range: int | None = None
    residual: bool = False
    decoder_slope: float = 0.0
    source: str | None = None

    def write(self, folder: Path) -> None:
        """Write it into a folder, in one step. StorageError when that is impossible."""
        content = {name: value for name, value in asdict(self).items() if value is not None or name != "source"}
        with written(folder / FILE_NAME) as part:
            part.write_text(json.dumps(content, indent=2) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """The folder's manifest; that of a plain published folder where it has none. WeightsError if it is damaged."""
    path = folder / FILE_NAME
    if not path.exists():
        return Manifest()
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__}; expected an object.")
    unknown = sorted(content.keys() - {f.name for f in fields(Manifest)})
    if unknown:
        raise WeightsError(f"{path} has unknown entries {', '.join(unknown)}; is it of a newer version?")
    _check_types(path, content)
    return Manifest(**content)


def _check_types(path: Path, content: dict[str, object]) -> None:
    kinds: dict[str, type | tuple[type, ...]] = {
        "name": str,
        "files": dict,
        "sha256": dict,
        "head_dim": int,
        "max_local_range": (int, type(None)),
        "residual": bool,
        "decoder_slope": (int, float),
        "source": (str, type(None)),
    }
    for name, kind in kinds.items():
        if name in content and not isinstance(content[name], kind):
            raise WeightsError(f"{path}: {name} is {content[name]!r}, which is of a wrong type.")
    if content.get("version") not in ("1.0", "1.1", None):
        raise WeightsError(f"{path}: version is {content['version']!r}; allowed: '1.0', '1.1'.")
    files = content.get("files")
    if isinstance(files, dict) and not set(PARTS) <= set(files) <= {*PARTS, *OPTIONAL_PARTS}:
        expected = f"{', '.join(PARTS)}, and {', '.join(OPTIONAL_PARTS)} if it is there"
        raise WeightsError(f"{path}: files names {', '.join(sorted(files))}; expected {expected}.")
    for name in ("files", "sha256"):
        entries = content.get(name, {})
        if isinstance(entries, dict) and not all(isinstance(value, str) for value in entries.values()):
            raise WeightsError(f"{path}: {name} has a value that is no text.")
