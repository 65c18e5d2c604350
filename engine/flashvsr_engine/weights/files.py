"""Tensors from files, with errors that name the file. Pickles are read with weights_only, never otherwise."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from flashvsr_engine.errors import WeightsError
from flashvsr_engine.weights.storage import digest


def read_tensors(path: Path, sha256: str | None = None, shapes_only: bool = False) -> dict[str, Tensor]:
    """All tensors of a .safetensors file or a pickled state dict; a bare pickled tensor has the name "prompt".

    shapes_only: they come without values, on the meta device. WeightsError when the file is missing, cut off, of
    another kind, or has another SHA-256 than expected.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is missing; expected a file of the weights folder.")
    if sha256 is not None:
        _check_digest(path, sha256)
    device = "meta" if shapes_only else "cpu"
    content = _read_safetensors(path, device) if path.suffix == ".safetensors" else _read_pickle(path, device)
    if isinstance(content, Tensor):
        return {"prompt": content}
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(f"{path} holds no dictionary of tensors; is it a file of another model?")
    return content


def _read_safetensors(path: Path, device: str) -> object:
    try:
        tensors = load_file(path)  # mapped into memory, so that values which nobody reads cost nothing
        return {name: tensor.to(device) for name, tensor in tensors.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is no complete safetensors file ({error}); fetch it again.") from error


def _read_pickle(path: Path, device: str) -> object:
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path} is no checkpoint of tensors alone, so it is not read ({_first(error)}).") from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} is no complete checkpoint ({_first(error)}); fetch it again.") from error


def _first(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def _check_digest(path: Path, expected: str) -> None:
    found = digest(path)
    if found != expected:
        raise WeightsError(f"{path} has SHA-256 {found}; expected {expected}: fetch it again.")
