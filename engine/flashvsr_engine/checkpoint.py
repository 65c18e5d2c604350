"""A stream's state in host memory or in one safetensors file, and back, exactly."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from flashvsr_engine.errors import CheckpointError, ConfigError
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.model import ProjectorMemory
from flashvsr_engine.noise import CounterNoise, FixedNoise
from flashvsr_engine.state import StreamState
from flashvsr_engine.steps import Steps
from flashvsr_engine.stream import Stream

if TYPE_CHECKING:
    from flashvsr_engine.planner import Planner
    from flashvsr_engine.session import Session
    from flashvsr_engine.streams import Streams

FORMAT = 1
COUNTERS = ("chunks", "frames_in", "frames_out")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A stream's whole state in host memory, from which `FlashVSREngine.resume` goes on exactly, once."""

    about: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def nbytes(self) -> int:
        """Bytes of host memory that it takes."""
        return sum(tensor.nbytes for tensor in self.tensors.values())


def snapshot(stream: Stream, state: StreamState, signature: str, gives_tensors: bool) -> Snapshot:
    """Copy a stream's state to host memory."""
    tensors = {name: _host_copy(tensor) for name, tensor in _tensors(state).items()}
    return Snapshot(_about(stream, state, signature, gives_tensors), tensors | _given_noise(stream))


def save(path: Path, stream: Stream, state: StreamState, signature: str, gives_tensors: bool) -> None:
    """Write a stream and its state. The file appears under its name when it is whole."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _tensors(state).items()}
    about = _about(stream, state, signature, gives_tensors)
    unfinished = path.with_name(path.name + ".part")
    try:
        save_file(tensors | _given_noise(stream), unfinished, {"flashvsr": json.dumps(about)})
        unfinished.replace(path)
    except (OSError, SafetensorError) as error:
        unfinished.unlink(missing_ok=True)
        raise CheckpointError(f"{path} cannot be written ({error}); the session goes on as it was.") from error


def restore(path: Path, streams: Streams, planner: Planner, signature: str) -> Session:
    """See `FlashVSREngine.restore`."""
    return resume(_read(path), streams, planner, signature, str(path))


def resume(saved: Snapshot, streams: Streams, planner: Planner, signature: str, origin: str = "The stream") -> Session:
    """See `FlashVSREngine.resume`; errors name the ``origin``."""
    from flashvsr_engine.session import Session

    about, tensors = saved.about, saved.tensors
    geometry = Geometry(**about["geometry"])
    plan = planner.plan(geometry, like=Steps(**about["steps"]))
    stream = streams.stream(geometry, plan.steps, _noise(about, tensors), about["output"])
    for name, here in _setting(stream, signature).items():
        if about["setting"][name] != here:
            raise ConfigError(f"{origin} was saved with {name} {about['setting'][name]}; this engine has {here}.")
    state = streams.state(stream)
    _fill(state, tensors, about, stream.device)
    return Session(streams.feed(stream, state, plan), signature, gives_tensors=about["gives_tensors"])


def _about(stream: Stream, state: StreamState, signature: str, gives_tensors: bool) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "setting": _setting(stream, signature),
        "geometry": asdict(stream.geometry),
        "output": stream.output,
        "seed": stream.noise.seed if isinstance(stream.noise, CounterNoise) else None,
        "first_latent": stream.noise.first_latent if isinstance(stream.noise, CounterNoise) else 0,
        "steps": asdict(stream.steps),
        "counters": {name: getattr(state, name) for name in COUNTERS} | {"written": state.kv.written},
        "channels_last": [_is_channels_last(t) for t in state.decoder or ()],
        "gives_tensors": gives_tensors,
    }


def _given_noise(stream: Stream) -> dict[str, Tensor]:
    return {"noise": stream.noise.noise.cpu().contiguous()} if isinstance(stream.noise, FixedNoise) else {}


def _host_copy(tensor: Tensor) -> Tensor:
    """Copy to host memory, from which a device reads back fastest when its pages are locked."""
    copied = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
    return copied.copy_(tensor.detach())


def _noise(about: dict[str, Any], tensors: dict[str, Tensor]) -> CounterNoise | FixedNoise:
    if about["seed"] is None:
        return FixedNoise(tensors["noise"])
    return CounterNoise(about["seed"], about.get("first_latent", 0))  # absent in files of before it was known


def _setting(stream: Stream, signature: str) -> dict[str, Any]:
    """What must agree, or the frames would be others."""
    grid = stream.attention.grid
    return {
        "weights": signature,
        "precision": str(stream.dtype).removeprefix("torch."),
        "decoder": "full" if stream.network.vae is not None else "tiny",
        "projector version": stream.network.version,
        "color_fix": stream.color_fix,
        "topk": grid.topk,
        "local_range": grid.local_range,
        "block_kv": grid.block_kv,
        "tiles": [stream.tiles.tile_height, stream.tiles.tile_width, *stream.tiles.rows, *stream.tiles.columns],
    }


def _tensors(state: StreamState) -> dict[str, Tensor]:
    named = {"pending": state.pending, "last_frame": state.last_frame}
    if state.lq_tail is not None:
        named["lq_tail"] = state.lq_tail
    named |= {f"projector.{i}": tensor for i, tensor in enumerate(state.projector.tensors())}
    named |= {f"decoder.{i}": tensor for i, tensor in enumerate(state.decoder or ())}
    return named | {f"kv.{i}": tensor for i, tensor in enumerate(state.kv.tensors())}


def _fill(state: StreamState, tensors: dict[str, Tensor], about: dict[str, Any], device: torch.device) -> None:
    """Copy a file's tensors into a new state. CheckpointError where they are not those of such a stream."""

    def numbered(kind: str) -> list[Tensor]:
        count = sum(name.startswith(f"{kind}.") for name in tensors)
        return [tensors[f"{kind}.{i}"] for i in range(count)]

    kept = numbered("kv")
    if [t.shape for t in kept] != [t.shape for t in state.kv.tensors()]:
        raise CheckpointError("the saved keys and values have other sizes than this engine's: kv_ratio must agree.")
    for mine, saved in zip(state.kv.tensors(), kept, strict=True):
        mine.copy_(saved)
    state.pending, state.last_frame = tensors["pending"], tensors["last_frame"]
    state.projector = ProjectorMemory(*(t.to(device) for t in numbered("projector")))
    decoder = [
        t.to(device, memory_format=torch.channels_last) if last else t.to(device)
        for t, last in zip(numbered("decoder"), about["channels_last"], strict=True)
    ]
    state.decoder = tuple(decoder) or None
    state.lq_tail = tensors["lq_tail"].to(device) if "lq_tail" in tensors else None
    for name in COUNTERS:
        setattr(state, name, about["counters"][name])
    state.kv.written = about["counters"]["written"]


def _read(path: Path) -> Snapshot:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no complete saved session ({error}).") from error
    about = json.loads(metadata.get("flashvsr", "{}"))
    if about.get("format") != FORMAT:
        found = about.get("format")
        raise CheckpointError(f"{path} is no session saved by this version: format {found}, not {FORMAT}.")
    return Snapshot(about, tensors)


def _is_channels_last(x: Tensor) -> bool:
    return x.ndim == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
