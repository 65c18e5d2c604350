"""A weights folder in any layout -> a folder of safetensors with a manifest."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from flashvsr_engine.errors import StorageError
from flashvsr_engine.weights.folder import WeightsFolder
from flashvsr_engine.weights.layout import NAMES
from flashvsr_engine.weights.load import build_dit
from flashvsr_engine.weights.manifest import Manifest
from flashvsr_engine.weights.storage import digest, reason, written
from flashvsr_engine.weights.verify import load_part


def convert(folder: WeightsFolder, out: Path, bf16: bool = False) -> Manifest:
    """Write all parts into a new folder `out`, which appears when it is whole. Returns its manifest.

    bf16: store in half the bytes; an engine in bf16 makes the same picture, one in fp32 or fp16 does not quite. The
    prompt stays float32. Every part is tried as at loading first. WeightsError; StorageError when `out` is there
    already or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StorageError(f"{out} is there already; name a new folder.")
    staging = out.with_name(f".{out.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        manifest = _write(folder, staging, bf16)
        staging.replace(out)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{out} cannot be written: {reason(error)}.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def _write(folder: WeightsFolder, staging: Path, bf16: bool) -> Manifest:
    sizes = build_dit(folder, folder.file("dit"), folder.tensors("dit", shapes_only=True)).sizes
    files, digests = {}, {}
    for part in folder.paths:
        name = Path(NAMES[part][0]).with_suffix(".safetensors").name
        tensors = load_part(folder, part, sizes)
        if part == "prompt":
            (prompt,) = tensors.values()
            tensors = {"prompt": prompt.float()}
        elif bf16:
            tensors = {key: _halved(tensor) for key, tensor in tensors.items()}
        _save(tensors, staging / name)
        files[part], digests[name] = name, digest(staging / name)
    manifest = replace(folder.manifest, version=folder.version, files=files, sha256=digests)
    manifest.write(staging)
    return manifest


def _halved(tensor: Tensor) -> Tensor:
    return tensor.bfloat16() if tensor.dtype == torch.float32 else tensor


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    """The file appears when it is whole; tensors that share memory, as pickles may have them, are parted."""
    with written(path) as part:
        try:
            save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, part)
        except SafetensorError as error:
            raise StorageError(f"{path} cannot be written: {error}.") from error
