"""The transport to an engine in this process: the only file of this package that knows flashvsr_engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from threading import Lock
from typing import TYPE_CHECKING, Literal

import numpy as np

from flashvsr_client.chunks import Frames
from flashvsr_client.config import LocalOptions
from flashvsr_client.errors import EngineUnavailableError, InputError, UsageError
from flashvsr_client.transport.base import AttentionBackend, Health, StreamInfo, StreamSpec
from flashvsr_client.transport.inprocess import InProcessStream

if TYPE_CHECKING:
    from flashvsr_engine import FlashVSREngine
    from flashvsr_engine.knobs import Knob
    from flashvsr_engine.session import Session


class LocalTransport:
    """A :class:`Transport` that loads the engine when it is first needed; its streams take turns at it."""

    def __init__(self, options: LocalOptions | None = None) -> None:
        self._options = options or LocalOptions()
        self._turn = Lock()
        self._loading = Lock()
        self._engine: FlashVSREngine | None = None

    def open(self, spec: StreamSpec) -> InProcessStream:
        """See :class:`Transport`. Raises :class:`EngineUnavailableError`, :class:`UsageError` for a wrong option."""
        engine = self._loaded()
        with _translated(), self._turn:
            plan = engine.plan(width=spec.width, height=spec.height, scale=spec.scale)
            output: Literal["uint8", "uint16"] = "uint16" if spec.depth == 16 else "uint8"
            session = engine.open(
                width=spec.width,
                height=spec.height,
                scale=spec.scale,
                seed=spec.seed,
                first_frame=spec.first_frame,
                output=output,
            )
        info = StreamInfo(
            width=plan.out_width,
            height=plan.out_height,
            first_chunk=plan.first_chunk,
            chunk=plan.chunk,
            max_chunk_frames=plan.first_chunk,
            model=engine.name,
        )
        return InProcessStream(_NumpySession(session), info, self._turn, _translated)

    def plan(self, spec: StreamSpec) -> str:
        """What a stream would take and how it would be made to fit, for people. Loads the engine, opens nothing.

        Raises :class:`EngineUnavailableError`, and :class:`UsageError` for a wrong option or a stream that cannot fit.
        """
        engine = self._loaded()
        with _translated(), self._turn:
            return str(engine.plan(width=spec.width, height=spec.height, scale=spec.scale))

    def attention(self) -> Sequence[AttentionBackend]:
        """Which implementations of attention this machine has, and why not the others. Loads the engine."""
        engine = self._loaded()
        return [
            AttentionBackend(f"{kind} {one.name}", one.about, one.reason, one.chosen)
            for kind, known in engine.attention_backends().items()
            for one in known
        ]

    def ping(self) -> Sequence[Health]:
        """See :class:`Transport`. Loads the engine."""
        engine = self._loaded()
        return [Health(name="local", model=engine.name, device=str(engine.device), sessions=0, max_sessions=0)]

    def close(self) -> None:
        """See :class:`Transport`. The engine's memory goes with its last stream."""
        self._engine = None

    def _loaded(self) -> FlashVSREngine:
        with self._loading:
            if self._engine is None:
                with _translated():
                    self._engine = _load(self._options)
            return self._engine


def devices_of(asked: str) -> list[str]:
    """Give the devices of ``asked``, a list with commas; "all": every CUDA device, or the CPU where there is none.

    Raises :class:`EngineUnavailableError` for a device that is absent, :class:`UsageError` for a name that is none.
    """
    with _translated():
        from flashvsr_engine.devices import all_devices, resolve_device

        names = all_devices() if asked == "all" else [name.strip() for name in asked.split(",")]
        found = [str(resolve_device(name)) for name in names]
    gpus = [name for name in found if name != "cpu"]
    if len(set(gpus)) < len(gpus):
        raise UsageError(f"devices {asked!r}: a GPU is named twice, and would work no faster; name each once")
    return found


def knobs() -> Sequence[Knob]:
    """What `LocalOptions` may be, choice by choice: the engine's own table, for faces that show it.

    Raises :class:`EngineUnavailableError` where the engine is not installed.
    """
    with _translated():
        from flashvsr_engine.knobs import KNOBS

        return KNOBS


def check(options: LocalOptions) -> None:
    """Raise :class:`UsageError` for an option that no engine takes. Loads nothing; a device is not looked for."""
    with _translated():
        from flashvsr_engine import engine_config

        engine_config(**asdict(options))


class _NumpySession:
    """The engine's session as numpy sees it: arrays in, arrays out."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.close = session.close

    def push(self, frames: Frames) -> Frames:
        return _array(self._session.push(frames))

    def finish(self) -> Frames:
        return _array(self._session.finish())


def _array(frames: object) -> Frames:
    assert isinstance(frames, np.ndarray), "the engine answers arrays with arrays"
    return frames


def _load(options: LocalOptions) -> FlashVSREngine:
    from flashvsr_engine import FlashVSREngine, engine_config
    from flashvsr_engine.devices import keep_freed_memory

    engine = FlashVSREngine.load(engine_config(**asdict(options)))
    if engine.device.type == "cpu":
        keep_freed_memory()
    return engine


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the engine's errors into this package's. Its messages are sentences for users and are kept."""
    try:
        from flashvsr_engine.errors import ConfigError, EngineError, FrameError
    except ImportError as error:
        raise EngineUnavailableError(
            f"the engine is not installed here ({error}): pip install ./engine in the repository's "
            "folder, or use --server"
        ) from error
    try:
        yield
    except ConfigError as error:
        raise UsageError(str(error)) from error
    except FrameError as error:
        raise InputError(str(error)) from error
    except EngineError as error:
        raise EngineUnavailableError(str(error)) from error
