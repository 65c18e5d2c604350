"""What an operator chooses: the ``handler`` section of model-config.yaml, then FLASHVSR_* of the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Final

from flashvsr_handler.size import WRITTEN, WRITTEN_AS

PREFIX: Final = "FLASHVSR_"
MIB: Final = 1 << 20
DAY_S: Final = 86_400
FORMATS: Final = ("text", "json")
LEVELS: Final = ("error", "warning", "info", "debug")


class SettingsError(ValueError):
    """A setting that is unknown or has a value that is not allowed; the text says which and what is."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The handler's settings. Names are those of the file; ``FLASHVSR_MAX_SESSIONS`` overrides ``max_sessions``.

    From weights to seed they are the engine's knobs, explained in docs/parameters.md; the engine checks their values.
    """

    weights: str = "builtin"
    """"builtin" or a folder of weights."""
    version: str = ""
    """Of the weights, 1.0 or 1.1; empty = as their manifest says."""
    mode: str = "tiny"
    device: str = "auto"
    """"auto" is the GPU that TorchServe assigns to the model, else the CPU."""
    precision: str = "auto"
    memory_limit: str = "none"
    """What one stream and the weights may take of the device: a size, "auto", or "none": sessions are admitted by what
    is left of state_bytes_budget."""
    tiled_dit: bool = False
    tile_size: int = 256
    tile_overlap: int = 24
    tiled_vae: bool = False
    unload_dit: bool = False
    adaptive_batch_size: bool = False
    color_fix: str = "adain"
    sparse_ratio: float = 2.0
    kv_ratio: float = 3.0
    local_range: int = 11
    attention_mode: str = "block_sparse_attention"
    attention_backend: str = "auto"
    cross_backend: str = "auto"
    seed: int = 0
    warm_up: bool = True
    """Run the engine once, on a small picture, before the model says that it is ready."""
    warm_up_sizes: tuple[str, ...] = ()
    """Inputs for which it runs three chunks each before that, as "480x270x4": kernels are compiled for a size."""
    max_sessions: int = 8
    state_bytes_budget: int = 0
    """Bytes that the weights, all sessions' states and one chunk's work may take; 0 = 80 % of what is free at start."""
    idle_timeout_s: float = 60.0
    """A session that is silent for longer is closed."""
    reconnect_s: float = 10.0
    """The same, once its client's connection to the direct plane is gone."""
    park_after_s: float = 0.0
    """A session that is silent for longer waits in host memory until its next chunk; 0 = none does."""
    park_bytes_budget: int = 0
    """Host memory for that; 0 = a quarter of what is free at start."""
    max_sessions_per_token: int = 0
    """Open at one time under one name of auth_file; 0 = no limit of its own."""
    auth_file: str = ""
    """Tokens, one a line, "TOKEN" or "NAME TOKEN"; empty = nobody is asked who calls."""
    engine_factory: str = ""
    """"module:function" that gives another engine, such as one that only waits; see flashvsr_handler.model."""
    hang_timeout_s: float = 300.0
    """The worker is replaced when one call to the engine takes longer."""
    max_pixels: int = 3840 * 2176
    """The largest output picture, width times height."""
    max_chunk_frames: int = 128
    """The most frames that one request may carry."""
    max_answer_bytes: int = 512 * MIB
    """Output frames, as RGB, that one request may give, which limits its frames; the last two answers are kept."""
    max_message_bytes: int = 63 * MIB
    """The largest message either way; 1 MiB below TorchServe's max_request_size and max_response_size."""
    message_target_bytes: int = 6 * MIB
    """Output frames are put together into one message up to about this size; 3 to 12 MiB travel fastest."""
    direct_host: str = "127.0.0.1"
    """Where the direct plane listens."""
    direct_port: int = -1
    """Its port: 0 = any free one, -1 = there is no direct plane."""
    tls_cert: str = ""
    """Certificate chain of the direct plane, PEM; empty = no TLS."""
    tls_key: str = ""
    log_format: str = "text"
    """text, or json: one object a line."""
    worker_log_level: str = "warning"
    """Of the worker: error, warning, info or debug."""
    report_dir: str = ""
    """Where the worker says that it works, and why it could not load; flashvsr-serve reads it. Empty = nowhere."""
    models: tuple[str, ...] = ("flashvsr0",)
    """Names of all models of this server, one for each device, told to clients."""

    def __post_init__(self) -> None:
        for name in ("max_sessions", "max_pixels", "max_chunk_frames", "message_target_bytes", "max_answer_bytes"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        for name in ("seed", "state_bytes_budget", "park_bytes_budget", "max_sessions_per_token"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        for name in ("idle_timeout_s", "reconnect_s", "hang_timeout_s"):
            seconds = getattr(self, name)
            _require(isfinite(seconds) and 0 < seconds <= DAY_S, name, seconds, "more than 0, at most 86400 seconds")
        parks = isfinite(self.park_after_s) and 0 <= self.park_after_s <= DAY_S
        _require(parks, "park_after_s", self.park_after_s, "0 to 86400 seconds")
        _require(-1 <= self.direct_port <= 65_535, "direct_port", self.direct_port, "-1 to 65535")
        _require(bool(self.tls_cert) == bool(self.tls_key), "tls_key", self.tls_key, "given together with tls_cert")
        _require(self.log_format in FORMATS, "log_format", self.log_format, " or ".join(FORMATS))
        _require(self.worker_log_level in LEVELS, "worker_log_level", self.worker_log_level, ", ".join(LEVELS))
        allowed = MIB <= self.max_message_bytes <= 2047 * MIB
        _require(allowed, "max_message_bytes", self.max_message_bytes, f"{MIB} to {2047 * MIB}")
        for size in self.warm_up_sizes:
            _require(
                WRITTEN.fullmatch(size) is not None, "warm_up_sizes", size, f"{WRITTEN_AS}, with commas between several"
            )
        _require(bool(self.models), "models", self.models, "one name or more")

    @classmethod
    def read(cls, section: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
        """Read the file's section, then let the environment override it. Raises :class:`SettingsError`."""
        defaults = {field.name: field.default for field in fields(cls)}
        unknown = sorted(set(section) - set(defaults))
        if unknown:
            raise SettingsError(f"Unknown setting {unknown[0]!r}; known: {', '.join(defaults)}.")
        chosen = dict(section)
        for name in defaults:
            if (value := environment.get(PREFIX + name.upper())) is not None:
                chosen[name] = value
        return cls(**{name: _convert(name, value, defaults[name]) for name, value in chosen.items()})  # type: ignore[arg-type]


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise SettingsError(f"{name} is {value!r}; allowed: {allowed}.")


def _convert(name: str, value: object, default: object) -> object:
    """Turn a YAML value or an environment string into the type of the setting's default."""
    if isinstance(default, bool):
        word = str(value).lower()
        _require(word in ("true", "false", "1", "0"), name, value, "true or false")
        return word in ("true", "1")
    if isinstance(default, tuple):
        parts = value if isinstance(value, list | tuple) else str(value).split(",")
        return tuple(text for part in parts if (text := str(part).strip()))
    if isinstance(default, str):
        return str(value)
    kind = type(default)
    try:
        return kind(value)  # type: ignore[call-arg]
    except (TypeError, ValueError):
        raise SettingsError(
            f"{name} is {value!r}; it must be {'a whole number' if kind is int else 'a number'}."
        ) from None
