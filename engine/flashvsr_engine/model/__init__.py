"""The network: weights only. Whatever a stream changes is passed in and returned."""

from flashvsr_engine.model.dit import Conditioning, DiT, DiTSizes
from flashvsr_engine.model.projector import LQProjector, ProjectorSizes, ProjectorVersion
from flashvsr_engine.model.projector_memory import ProjectorMemory
from flashvsr_engine.model.rope import Place, Rotation, rotation
from flashvsr_engine.model.tcdecoder import DecoderMemory, TCDecoder, TCDecoderSizes

__all__ = [
    "Conditioning",
    "DecoderMemory",
    "DiT",
    "DiTSizes",
    "LQProjector",
    "Place",
    "ProjectorMemory",
    "ProjectorSizes",
    "ProjectorVersion",
    "Rotation",
    "TCDecoder",
    "TCDecoderSizes",
    "rotation",
]
