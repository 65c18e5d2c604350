"""The nodes: the community's inputs, in its order, so that the values of a saved workflow stand where they stood.

Ours come after. README.md explains them; a test compares the two.
"""

from __future__ import annotations

from typing import Any, Final

from flashvsr_client import UsageError
from torch import Tensor

from . import films
from . import frames as pictures
from .inputs import FRAMES, SERVER, VIDEO, Input, knob_inputs, model_input
from .node import Inputs, Node, Pipe, TiledNode

_TILES: Final = ("tiled_vae", "tiled_dit", "tile_size", "tile_overlap", "unload_dit")
_SIMPLE: Final = ("mode", "scale", "tiled_vae", "tiled_dit", "unload_dit", "seed")
_ATTENTION: Final = ("sparse_ratio", "kv_ratio", "local_range")
_STREAM: Final = ("scale", "color_fix", *_TILES, *_ATTENTION, "seed")


class FlashVSRUpscale(Node):
    """The simple node."""

    DISPLAY_NAME = "FlashVSR Upscale"
    DESCRIPTION = "Makes a film 2, 3 or 4 times as large. All else is chosen for you."
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802, the name is ComfyUI's
        """See ComfyUI."""
        required = {"frames": FRAMES, "model": model_input(), **knob_inputs(*_SIMPLE)}
        return {"required": required, "optional": {"server": SERVER}}

    def run(self, frames: Tensor, server: str = "", **inputs: Any) -> tuple[Tensor]:
        """Give the upscaled frames."""
        with self.client(inputs, server) as client:
            return (pictures.upscaled(client, frames, inputs["scale"], inputs["seed"]),)


class FlashVSRUpscaleAll(TiledNode):
    """Every option on one node, as the community's first node had them."""

    DISPLAY_NAME = "FlashVSR Upscale (all options)"
    DESCRIPTION = "Makes a film 2, 3 or 4 times as large, with every option of the engine."
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802
        """See ComfyUI."""
        required = {"frames": FRAMES, **knob_inputs("mode", *_STREAM, "device", "precision", "attention_mode")}
        return {"required": required, "optional": {"model": model_input(), "server": SERVER}}

    def run(self, frames: Tensor, server: str = "", model: str | None = None, **inputs: Any) -> tuple[Tensor]:
        """Give the upscaled frames."""
        with self.client({"model": model or model_input()[1]["default"], **inputs}, server) as client:
            return (pictures.upscaled(client, frames, inputs["scale"], inputs["seed"]),)


class FlashVSRInit(Node):
    """Which engine `FlashVSRUpscaleAdvanced` works on."""

    DISPLAY_NAME = "FlashVSR Init"
    DESCRIPTION = "Says which engine FlashVSR Upscale (advanced) works on. It is loaded when that runs."
    RETURN_TYPES = ("PIPE",)
    RETURN_NAMES = ("pipe",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802
        """See ComfyUI."""
        vae: Input = (["none"], {"default": "none", "tooltip": "Mode full decodes with the VAE of the model's folder."})
        offload: Input = (
            "BOOLEAN",
            {"default": True, "tooltip": "Give the engine up after each run, in place of keeping it for the next one."},
        )
        required = {"model": model_input(), **knob_inputs("mode"), "alt_vae": vae, "force_offload": offload}
        required |= knob_inputs("precision", "device", "attention_mode")
        return {"required": required, "optional": {"server": SERVER}}

    def run(self, alt_vae: str, force_offload: bool, server: str = "", **inputs: Any) -> tuple[Pipe]:
        """Give the choice; what is missing or wrong in it is said when it is used."""
        return (Pipe(inputs, server, force_offload),)


class FlashVSRUpscaleAdvanced(TiledNode):
    """Upscales on the engine of a pipe."""

    DISPLAY_NAME = "FlashVSR Upscale (advanced)"
    DESCRIPTION = "Makes a film 2, 3 or 4 times as large, on the engine that FlashVSR Init names."
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("image",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802
        """See ComfyUI."""
        pipe: Input = ("PIPE", {"tooltip": "From FlashVSR Init."})
        return {"required": {"pipe": pipe, "frames": FRAMES, **knob_inputs(*_STREAM)}}

    def run(self, pipe: object, frames: Tensor, **inputs: Any) -> tuple[Tensor]:
        """Give the upscaled frames."""
        if not isinstance(pipe, Pipe):
            raise UsageError(f"pipe is a {type(pipe).__name__} of another package: connect a FlashVSR Init")
        with self.client({**pipe.inputs, **inputs}, pipe.server, keep=not pipe.force_offload) as client:
            return (pictures.upscaled(client, frames, inputs["scale"], inputs["seed"]),)


class FlashVSRUpscaleVideo(Node):
    """The simple node for films that are too long for memory: the community has none."""

    DISPLAY_NAME = "FlashVSR Upscale Video"
    DESCRIPTION = "Makes a film 2, 3 or 4 times as large, from file to file: for films too long for memory."
    RETURN_TYPES = ("VIDEO",)
    RETURN_NAMES = ("video",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:  # noqa: N802
        """See ComfyUI."""
        required = {"video": VIDEO, "model": model_input(), **knob_inputs(*_SIMPLE)}
        return {"required": required, "optional": {"server": SERVER}}

    def run(self, video: object, server: str = "", **inputs: Any) -> tuple[object]:
        """Give the upscaled film."""
        with self.client(inputs, server) as client:
            return (films.upscaled(client, video, inputs["scale"], inputs["seed"]),)


NODES: Final = (FlashVSRUpscale, FlashVSRUpscaleAll, FlashVSRInit, FlashVSRUpscaleAdvanced, FlashVSRUpscaleVideo)
