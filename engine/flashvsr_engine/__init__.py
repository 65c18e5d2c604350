"""The FlashVSR streaming engine: frames in chunk by chunk, every frame out exactly once."""

from flashvsr_engine.config import AttentionConfig, EngineConfig
from flashvsr_engine.engine import FlashVSREngine
from flashvsr_engine.errors import (
    CheckpointError,
    ConfigError,
    DeviceError,
    EngineError,
    FrameError,
    HubRefusedError,
    HubUnreachableError,
    MissingPackageError,
    OutOfMemoryError,
    SessionStateError,
    StorageError,
    WeightsError,
)
from flashvsr_engine.knobs import engine_config
from flashvsr_engine.noise import FixedNoise
from flashvsr_engine.plan import Plan
from flashvsr_engine.session import Session

__all__ = [
    "AttentionConfig",
    "CheckpointError",
    "ConfigError",
    "DeviceError",
    "EngineConfig",
    "EngineError",
    "FixedNoise",
    "FlashVSREngine",
    "FrameError",
    "HubRefusedError",
    "HubUnreachableError",
    "MissingPackageError",
    "OutOfMemoryError",
    "Plan",
    "Session",
    "SessionStateError",
    "StorageError",
    "WeightsError",
    "engine_config",
]
